import {
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { rolldown } from 'rolldown'

// Joins the modules that `tsc` has built into a few files. Loading three hundred small ones takes
// Node three times as long, and whoever imports the library waits for it at every start.

const library = 'packages/eventuali'

/** Programs of threads, which are started from files of their own. */
const threads = ['pipelines/import-worker', 'pipelines/process-all/thread-program']

/** Names of classes that joining has changed: an error's name is that of its class. */
export function renamedClasses(code: string): string[] {
  return [...code.matchAll(/\bclass (\w+\$\d+)\b/g)].map(([, name]) => name as string)
}

/** The doors of a package: what its `exports` name, by their paths below the build. */
export function doorsOf(exports: Readonly<Record<string, unknown>>): string[] {
  return Object.values(exports).flatMap((target) => {
    const built = (target as { readonly types?: string }).types
    return built === undefined ? [] : [built.replace(/^\.\/dist\/(.+)\.d\.ts$/, '$1')]
  })
}

/** Gives the text of every file of the bundle by its path. */
async function bundled(folder: string): Promise<Map<string, string>> {
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    exports: Record<string, unknown>
  }
  const build = await rolldown({
    input: Object.fromEntries(
      [...doorsOf(exports), ...threads].map((name) => [name, join(folder, `dist/${name}.js`)]),
    ),
    platform: 'node',
    external: (id) => !id.startsWith('.') && !id.startsWith('/') && !id.startsWith(folder),
    onLog: (level, { message }) => {
      if (level === 'warn') throw new Error(message)
    },
  })
  const { output } = await build.generate({
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'parts/[name]-[hash].js',
  })
  await build.close()
  return new Map(
    output.map((part) => [part.fileName, part.type === 'chunk' ? part.code : String(part.source)]),
  )
}

/**
 * Writes what differs, each file at once: other programs may be loading the bundle, and a build
 * that changes nothing writes nothing. What they have loaded goes on; old parts are removed last.
 */
function publish(files: ReadonlyMap<string, string>, into: string): void {
  // The doors last: whoever comes through one finds the parts that it names.
  const inOrder = [...files].sort(
    ([a], [b]) => Number(b.startsWith('parts/')) - Number(a.startsWith('parts/')),
  )
  for (const [name, text] of inOrder) {
    const path = join(into, name)
    if (existsSync(path) && readFileSync(path, 'utf8') === text) continue
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(`${path}.${process.pid}`, text)
    renameSync(`${path}.${process.pid}`, path)
  }
  for (const name of globSync('**/*.js', { cwd: into })) {
    if (!files.has(name)) rmSync(join(into, name), { force: true })
  }
}

if (import.meta.main) {
  const files = await bundled(library)
  const renamed = [...files.values()].flatMap(renamedClasses)
  if (renamed.length > 0) {
    throw new Error(`two classes share a name, so one was renamed: ${renamed.join(', ')}`)
  }
  publish(files, join(library, 'bundle'))
}
