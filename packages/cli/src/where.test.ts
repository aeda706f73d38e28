import type { RecordedEvent } from 'eventuali'
import { describe, expect, it } from 'vitest'
import { condition } from './where.ts'

const event = {
  ...{ id: 'e-1', stream: 'order-1', version: 3, position: 17, type: 'OrderPlaced' },
  ...{ schemaVersion: 1, tags: ['paid', 'course:1'] },
  time: new Date('2026-01-05T09:00:00Z'),
  recordedAt: new Date('2026-01-05T09:00:01Z'),
  data: {
    customer: 'ada',
    total: 30,
    code: '30',
    note: null,
    open: true,
    items: [{ sku: 'tea', count: 2 }, { sku: 'pot' }],
    'odd name': { 'a.b': 1, 'quo"te': 2, '': 3 },
    nested: { x: { b: [1, 2], a: 'y' } },
    empty: '',
    '*': 'star',
  },
  metadata: { actor: 'ada' },
} as unknown as RecordedEvent

const holds = (text: string) => condition(text)(event)

describe('a condition', () => {
  it.each([
    'data.customer=ada',
    'data.customer="ada"',
    ' data.customer = ada ',
    'data.total=30',
    'data.total=3e1',
    'data.code="30"',
    'data.note=null',
    'data.open=true',
    'data.total>=30',
    'data.total<30.5',
    'data.customer>aaa',
    'data.customer~d',
    'data.code~3',
    'data.items[0].sku=tea',
    'data.items[*].sku=pot',
    'data.items[*].count>1',
    'data.*.x.a=y',
    'data["odd name"]["a.b"]=1',
    'data["odd name"]["quo\\"te"]=2',
    'data["odd name"][""]=3',
    'data["*"]=star',
    'data.nested.x={"a":"y","b":[1,2]}',
    'data.items[0]={"count":2,"sku":"tea"}',
    'data.empty=',
    'data.empty=""',
    'tags~paid',
    'tags[1]~course',
    'metadata.actor!=bob',
    'metadata.nobody!=x',
    'data.items[*].sku!=cup',
    'data',
    'data.note',
    '!data.nothing',
    '!metadata.nobody.knows',
    'type=OrderPlaced',
    'position>=17',
    'time>=2026-01-05',
    'time<2026-01-06',
    'data.customer~"a"',
  ])('%s is met', (text) => {
    expect(holds(text)).toBe(true)
  })

  it.each([
    'data.customer=Ada',
    'data.total="30"',
    'data.code=30',
    'data.total>30',
    'data.total>"2"',
    'data.customer>1',
    'data.note>0',
    'data.open>=true',
    'data.note=',
    'data.customer!=ada',
    'data.items[*].sku!=tea',
    'data.items.sku=tea',
    'data.items[2]',
    'data.items.length',
    'data.customer.length',
    'data.customer[0]',
    'data.constructor',
    'data.__proto__',
    'metadata.toString',
    '!data.note',
    'data.items=[]',
    'data.items[0]={"sku":"tea"}',
    'tags~pai',
  ])('%s is not met', (text) => {
    expect(holds(text)).toBe(false)
  })

  it.each([
    ['', 'a path begins with one of'],
    ['total>3', 'a path begins with one of'],
    ['constructor=1', 'a path begins with one of'],
    ['data.=1', 'a name is missing'],
    ['data..x', 'a name is missing'],
    ['data[', 'brackets hold'],
    ['data[-1]', 'brackets hold'],
    ['data["x]', 'brackets hold'],
    ['data["\\q"]', 'no JSON text'],
    ['data.x 3', 'has to stand here'],
    ['data.x => 3', undefined],
    ['!data.x=3', 'use != to compare'],
    ['!!data.x', 'a path begins with one of'],
    [`data${'.x'.repeat(200)}`, 'at most 100 parts'],
    [`data.x=${'y'.repeat(20_000)}`, 'too long'],
  ])('%s is refused, with the place', (text, why) => {
    if (why === undefined) {
      // `=` and the text `> 3`.
      expect(holds(text)).toBe(false)
      return
    }
    expect(() => condition(text)).toThrow(/^At character \d+ of /)
    expect(() => condition(text)).toThrow(why)
  })

  it('ends on large events with many wildcards', () => {
    const wide = { ...event, data: Array.from({ length: 1000 }, () => Array(1000).fill(0)) }
    expect(condition('data[*][*]=1')(wide as RecordedEvent)).toBe(false)
  })
})
