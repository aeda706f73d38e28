export type { McpGuide } from './guide-pages.ts'
export { createMcpServer, type McpOptions } from './server.ts'
export { type McpStdioOptions, serveMcpStdio } from './stdio.ts'
export type { McpDefinitions, McpWrites } from './tool.ts'
