// The commands stand in the README; this runs them as they stand there.
import { runReadme } from '../readme-commands.ts'

await runReadme(import.meta.dirname, {
  EVENTUALI_STORES_SHOP: 'busy-shop',
  EVENTUALI_STORES_BENCH: 'bench',
})
