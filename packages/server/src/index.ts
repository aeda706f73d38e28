/**
 * The log over HTTP: REST, feeds, webhooks and tools for models.
 *
 * @module \@eventuali/server
 */

export { type ApiKey, type AuthOptions, hashApiKey } from './access.ts'
export type { JwtOptions } from './access-token.ts'
export { createServer, type EventualiServer } from './app.ts'
export { nodeHandler, type RunningServer, type ServeOptions, serve } from './listen.ts'
export {
  createMcpServer,
  type McpDefinitions,
  type McpGuide,
  type McpOptions,
  type McpStdioOptions,
  type McpWrites,
  serveMcpStdio,
} from './mcp/index.ts'
export type {
  AnsweredRequest,
  ServedAggregate,
  ServedProjection,
  ServerLimits,
  ServerOptions,
} from './options.ts'
export type { Role } from './role.ts'
export {
  type RunningWebhooks,
  startWebhooks,
  type Webhook,
  type WebhookOptions,
} from './webhooks.ts'
