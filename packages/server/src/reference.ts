import { createHash } from 'node:crypto'
import type { OpenApiDocument } from './document.ts'

function escaped(value: unknown): string {
  return String(value)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

interface Operation {
  readonly summary?: string
  readonly description?: string
  readonly tags?: readonly string[]
  readonly operationId?: string
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
    readonly description?: string
    readonly schema?: { readonly description?: string; readonly type?: string }
  }[]
  readonly requestBody?: {
    readonly content?: Readonly<Record<string, { readonly schema?: unknown }>>
  }
  readonly responses?: Readonly<
    Record<
      string,
      {
        readonly description?: string
        readonly content?: Readonly<Record<string, { readonly schema?: unknown }>>
      }
    >
  >
}

const style = `:root{color-scheme:light dark}*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem}
h1{margin:.5rem 0}h2{border-bottom:1px solid #8886;margin-top:2.5rem}
details{border:1px solid #8886;border-radius:.4rem;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer;overflow-wrap:anywhere}summary code{font-weight:600}
.method{display:inline-block;min-width:4.2rem;font-weight:700}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem .25rem 0;vertical-align:top}
th{font-weight:600;border-bottom:1px solid #8886}pre{overflow:auto;background:#8881;padding:.6rem;border-radius:.3rem}
nav ul{columns:2;padding-left:1.2rem}a{color:inherit}`

function schemaText(schema: unknown): string {
  return escaped(JSON.stringify(schema, null, 2))
}

function parametersTable({ parameters = [] }: Operation): string {
  if (parameters.length === 0) return ''
  const rows = parameters.map(
    ({ name, in: place, required, description, schema }) =>
      `<tr><td><code>${escaped(name)}</code></td><td>${escaped(place)}</td><td>${escaped(schema?.type ?? '')}</td><td>${required === true ? 'yes' : 'no'}</td><td>${escaped(description ?? schema?.description ?? '')}</td></tr>`,
  )
  return `<h4>Parameters</h4><table><thead><tr><th>name</th><th>in</th><th>type</th><th>required</th><th>meaning</th></tr></thead><tbody>${rows.join('')}</tbody></table>`
}

function operationHtml(method: string, path: string, operation: Operation): string {
  const {
    summary = '',
    description = '',
    requestBody,
    responses = {},
    operationId = '',
  } = operation
  const bodies = Object.entries(requestBody?.content ?? {}).map(
    ([type, { schema }]) =>
      `<h4>Body: <code>${escaped(type)}</code></h4><pre>${schemaText(schema)}</pre>`,
  )
  const rows = Object.entries(responses).map(([status, answer]) => {
    const schemas = Object.entries(answer.content ?? {}).map(
      ([type, { schema }]) => `<code>${escaped(type)}</code><pre>${schemaText(schema)}</pre>`,
    )
    const shown = status.startsWith('2') ? schemas.join('') : ''
    return `<tr><td>${escaped(status)}</td><td>${escaped(answer.description ?? '')}${shown}</td></tr>`
  })
  const text = description
    .split('\n\n')
    .map((part) => `<p>${escaped(part)}</p>`)
    .join('')
  return `<details id="${escaped(operationId)}"><summary><span class="method">${escaped(method.toUpperCase())}</span> <code>${escaped(path)}</code> ${escaped(summary)}</summary>${text}${parametersTable(operation)}${bodies.join('')}<h4>Answers</h4><table><tbody>${rows.join('')}</tbody></table></details>`
}

/** A page of the whole document: one file, no script, nothing loaded from anywhere. */
export function referencePage(document: OpenApiDocument): { html: string; policy: string } {
  const tags = new Map<string, string[]>()
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const [tag = 'Other'] = (operation as Operation).tags ?? []
      const held = tags.get(tag) ?? []
      held.push(operationHtml(method, path, operation as Operation))
      tags.set(tag, held)
    }
  }
  const { schemas = {} } = (document.components ?? {}) as { schemas?: Record<string, unknown> }
  const shapes = Object.entries(schemas).map(
    ([name, schema]) =>
      `<details id="schema-${escaped(name)}"><summary><code>${escaped(name)}</code></summary><pre>${schemaText(schema)}</pre></details>`,
  )
  const idOf = (tag: string) => `tag-${tag.toLowerCase().replaceAll(' ', '-')}`
  const index = [...tags.keys()].map(
    (tag) => `<li><a href="#${idOf(tag)}">${escaped(tag)}</a></li>`,
  )
  const sections = [...tags].map(
    ([tag, parts]) =>
      `<section><h2 id="${idOf(tag)}">${escaped(tag)}</h2>${parts.join('')}</section>`,
  )
  const { title, version } = document.info
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escaped(title)}: reference of the HTTP API</title><style>${style}</style></head><body><header><h1>${escaped(title)} ${escaped(version)}</h1><p>Reference of the HTTP API. The same for programs: <a href="openapi.json">openapi.json</a>, OpenAPI ${escaped(document.openapi)}.</p></header><nav aria-label="Parts"><ul>${index.join('')}<li><a href="#schemas">Schemas</a></li></ul></nav><main>${sections.join('')}<section><h2 id="schemas">Schemas</h2>${shapes.join('')}</section></main></body></html>`
  const hash = createHash('sha256').update(style).digest('base64')
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
  return { html, policy }
}
