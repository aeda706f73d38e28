import { describe, expect, it } from 'vitest'
import { encodeEvent, TextEvent } from './index.ts'

const fields = {
  ...{ id: 'a', idGiven: true, type: 'T', metadata: {} },
  ...{ time: 5, schemaVersion: 1, tags: ['k:v'] },
}
const data = { n: 1, list: ['é', null] }
const made = () => new TextEvent(fields, JSON.stringify(data))

describe('an event with the text of its data', () => {
  it('looks like any other', () => {
    expect(made().data).toEqual(data)
    expect({ ...made() }).toEqual({ ...fields, data })
    expect(JSON.parse(JSON.stringify(made()))).toEqual({ ...fields, data })
    expect(structuredClone(made())).toEqual({ ...fields, data })
  })

  it('is encoded like any other, without a look at the data', () => {
    expect(encodeEvent('s', made())).toEqual(encodeEvent('s', { ...fields, data }))
    expect(encodeEvent('s', new TextEvent(fields, '[ 1]')).data).toBe('[ 1]')
  })

  it('gives its text to no copy with other data', () => {
    const copy = { ...made(), data: { n: 2 } }
    expect(encodeEvent('s', copy).data).toBe('{"n":2}')
  })
})
