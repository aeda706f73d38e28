// The commands stand in the README; this runs them as they stand there.
import { runReadme } from '../readme-commands.ts'

await runReadme(import.meta.dirname, { EVENTUALI_STORE: 'blue-green' })
