import { type McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js'
import { invalidParams, variableOf } from './resource-reading.ts'

/** Pages of documentation that clients may read as `eventuali://docs/NAME`. */
export interface McpGuide {
  /** Names, as they stand in the address, and titles. */
  pages(): readonly { readonly name: string; readonly title: string }[]
  /** The Markdown of a page; called with names that `pages` gives, and with no other. */
  page(name: string): string
}

const MARKDOWN = 'text/markdown'

/** The pages of the guide, one resource each. */
export function addGuide(server: McpServer, guide: McpGuide): void {
  const names = () => guide.pages().map(({ name }) => name)
  const template = new ResourceTemplate('eventuali://docs/{page}', {
    list: () => ({
      resources: guide.pages().map(({ name, title }) => ({
        ...{ uri: `eventuali://docs/${encodeURIComponent(name)}`, name: `docs/${name}`, title },
      })),
    }),
    complete: { page: (begun) => names().filter((name) => name.startsWith(begun)) },
  })
  const config = {
    title: 'A page of the guide',
    description: 'How Eventuali is used and operated, in Markdown.',
    mimeType: MARKDOWN,
  }
  server.registerResource('docs', template, config, (uri, variables) => {
    const page = variableOf(variables.page)
    if (!names().includes(page)) {
      const known = names().join(', ') || 'none'
      throw invalidParams(`the guide has no page ${page} (there are: ${known})`)
    }
    return { contents: [{ uri: uri.href, mimeType: MARKDOWN, text: guide.page(page) }] }
  })
}
