import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { addFixtures, type FixtureParts } from './fixtures.ts'
import { addGuide, type McpGuide } from './guide-pages.ts'
import { modelOf } from './model.ts'
import { told } from './resource-reading.ts'

const gotchas = `# What goes wrong with event sourcing, and what to do

- An event says what happened, in the past tense. It is never changed; a correction is another event.
- Commands are pure: they run again after a conflict. Do nothing outside of the store in them.
- A projection that reads the clock or a random number gives another result when it is rebuilt.
- An old event must stay readable: raise the version and give an upcaster, do not edit the schema.
- Subscribers get every event at least once. What they do outside needs an id that makes twice once.
- Positions have gaps. Compare them, never count with them.
- The lag of a consumer is measured against the safe position, which stops before open appends.
`

/** What resources are read with. */
export interface ResourceParts extends FixtureParts {
  readonly guide: McpGuide | undefined
}

/** Texts, schemas and events that a client may read without calling a tool. */
export function addResources(server: McpServer, parts: ResourceParts): void {
  const { store, definitions, guide, bounded } = parts
  const json = (uri: URL, value: unknown) => ({
    contents: [{ uri: uri.href, mimeType: 'application/json', text: JSON.stringify(value) }],
  })
  server.registerResource(
    'model',
    'eventuali://model',
    { title: 'The model of the configuration', mimeType: 'application/json' },
    async (uri) => json(uri, modelOf(definitions)),
  )
  server.registerResource(
    'schemas',
    'eventuali://schemas',
    { title: 'Types and versions that the store has seen', mimeType: 'application/json' },
    async (uri, { signal }) => {
      const schemas = await told(store.schemas.list({ signal: bounded(signal) }))
      return json(uri, schemas.slice(0, 500))
    },
  )
  server.registerResource(
    'gotchas',
    'eventuali://gotchas',
    { title: 'What goes wrong with event sourcing', mimeType: 'text/markdown' },
    async (uri) => ({ contents: [{ uri: uri.href, mimeType: 'text/markdown', text: gotchas }] }),
  )
  addFixtures(server, parts)
  if (guide !== undefined) addGuide(server, guide)
}
