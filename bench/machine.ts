import { execFileSync } from 'node:child_process'
import {
  closeSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'

/** Where a run took place. */
export interface Machine {
  readonly cores: number
  readonly cpu: string
  readonly memoryGiB: number
  readonly kernel: string
  readonly disk: string
  /** Durable writes of 4 KiB a second, measured at the start and at the end. */
  readonly flushesPerSecond: readonly number[]
  readonly node: string
  readonly sqlite: string
  readonly betterSqlite: string
  readonly postgres: string
}

function diskOf(folder: string): string {
  try {
    const text = execFileSync('df', ['--output=source,fstype', folder], { encoding: 'utf8' })
    const [source = '?', kind = '?'] = text.trim().split('\n').at(-1)?.split(/\s+/) ?? []
    const name = source.replace(/^\/dev\//, '').replace(/p?\d+$/, '')
    let turns = ''
    try {
      const flag = readFileSync(`/sys/block/${name}/queue/rotational`, 'utf8').trim()
      turns = flag === '1' ? ', says it rotates' : ', says it does not rotate'
    } catch {
      // No block device behind it: the file system's name has to do.
    }
    const virtual = name.startsWith('vd') || name.startsWith('xvd') ? ' (virtual disk)' : ''
    return `${kind} on ${name}${virtual}${turns}`
  } catch {
    return `file system 0x${statfsSync(folder).type.toString(16)}`
  }
}

/** How many times a second the disk makes 4 KiB durable: what bounds appends one by one. */
export function flushRate(folder: string, forMs: number): number {
  const file = join(folder, 'flush.probe')
  const fd = openSync(file, 'w')
  const block = Buffer.alloc(4096, 1)
  const started = performance.now()
  let count = 0
  while (performance.now() - started < forMs) {
    writeSync(fd, block, 0, block.length, (count % 256) * block.length)
    fdatasyncSync(fd)
    count++
  }
  const rate = (count * 1000) / (performance.now() - started)
  closeSync(fd)
  rmSync(file)
  return Math.round(rate)
}

/** What a run's figures depend on. */
export function describeMachine(
  folder: string,
  versions: Pick<Machine, 'sqlite' | 'betterSqlite' | 'postgres'>,
  flushesPerSecond: readonly number[],
): Machine {
  const all = cpus()
  return {
    cores: all.length,
    cpu: all[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `Linux ${release()}`.replace(
      'Linux',
      process.platform === 'linux' ? 'Linux' : process.platform,
    ),
    disk: diskOf(folder),
    flushesPerSecond,
    node: process.version,
    ...versions,
  }
}
