const WIDTH = 30
const REDRAW_MS = 80

/** Draws a bar on standard error while `work` runs; draws nothing where it is not a terminal. */
export async function withProgress<T>(
  label: string,
  work: (show: (share: number) => void) => Promise<T>,
): Promise<T> {
  const { stderr } = process
  let drawnMs = Number.NEGATIVE_INFINITY
  const show = (share: number) => {
    const now = performance.now()
    if (!stderr.isTTY || now - drawnMs < REDRAW_MS) return
    drawnMs = now
    const filled = Math.round(Math.min(1, share) * WIDTH)
    const bar = '█'.repeat(filled) + '░'.repeat(WIDTH - filled)
    stderr.write(`\r${label} ${bar} ${Math.floor(Math.min(1, share) * 100)} %\u001b[K`)
  }
  try {
    show(0)
    return await work(show)
  } finally {
    if (stderr.isTTY) stderr.write('\r\u001b[K')
  }
}
