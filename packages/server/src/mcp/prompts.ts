import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { z } from 'zod'

interface Prompt {
  readonly name: string
  readonly title: string
  readonly argument: string
  readonly what: string
  readonly text: (value: string) => string
}

const prompts: readonly Prompt[] = [
  {
    ...{ name: 'model-a-slice', title: 'Model a slice', argument: 'wish' },
    what: 'What a user wants to do',
    text: (wish) =>
      `Read get_model. Model this as one slice (command, event, view), name the event in the past tense, and check it with propose_slice before you show code: ${wish}`,
  },
  {
    ...{ name: 'write-projection', title: 'Write a projection', argument: 'question' },
    what: 'The question that it answers',
    text: (question) =>
      `Read get_model and list_event_types, look at a few events with read_all, then write a defineProjection that answers: ${question}. Try it with run_projection_on_fixture when it is in the configuration, on the events of eventuali://fixtures/TYPE.`,
  },
  {
    ...{ name: 'fix-projection', title: 'Mend a projection', argument: 'name' },
    what: 'Name of the projection',
    text: (name) =>
      `Projection ${name} is wrong or stands still. Use projection_status, lag_report, list_dead_letters and explain_dead_letter; show with step_projection which event goes wrong; then say what to change and that the version is to be raised.`,
  },
  {
    ...{ name: 'investigate-incident', title: 'Investigate an incident', argument: 'what' },
    what: 'What was seen, and when',
    text: (what) =>
      `Investigate with reading tools only: ${what}. Start with health, lag_report and list_dead_letters, follow correlation ids with trace_correlation, and say which events show what you conclude.`,
  },
  {
    ...{ name: 'explain-aggregate', title: 'Explain an aggregate', argument: 'stream' },
    what: 'Name of its stream',
    text: (stream) =>
      `Explain how ${stream} came to be as it is, with explain_state and read_stream: one sentence for each event that mattered.`,
  },
  {
    ...{ name: 'review-schema-change', title: 'Review a change of a schema', argument: 'type' },
    what: 'The event type',
    text: (type) =>
      `Review the change of ${type}: get_schema, check_drift. Say which stored events the new code would fail to read, and what upcaster is missing.`,
  },
]

/** Ways to work with the tools that have proved themselves. */
export function addPrompts(server: McpServer): void {
  for (const { name, title, argument, what, text } of prompts) {
    const argsSchema = { [argument]: z.string().describe(what) }
    server.registerPrompt(name, { title, description: title, argsSchema }, (args) => ({
      messages: [
        {
          role: 'user',
          content: { type: 'text', text: text((args as Record<string, string>)[argument] ?? '') },
        },
      ],
    }))
  }
}
