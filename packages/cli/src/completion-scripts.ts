import type { CommandEntry, OptionEntry } from './command-tree.ts'

/** In single quotes, for all three shells. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
/** Fish knows no other way to put a quote into quotes than a backslash. */
const fishQuoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`

const valueOptions = ({ options }: CommandEntry): readonly OptionEntry[] =>
  options.filter(({ takesValue }) => takesValue)

/** `'path word') body ;;` for each, where bash and zsh look by the command and a word. */
function caseOf(path: string, words: readonly string[], body: string): string {
  return `    ${words.map((word) => quoted(`${path} ${word}`)).join('|')}) ${body} ;;`
}

/** Finds the command in the words before the cursor; the same in bash and zsh but for an index. */
function pathLoop(entries: readonly CommandEntry[], words: string, first: string, last: string) {
  const steps = entries.flatMap(({ path, commands }) =>
    commands.map(({ name }) => caseOf(path, [name], `at=${quoted(`${path} ${name}`.trim())}`)),
  )
  const skips = entries
    .filter((entry) => valueOptions(entry).length > 0)
    .map((entry) =>
      caseOf(
        entry.path,
        valueOptions(entry).flatMap(({ names }) => names),
        '((i++))',
      ),
    )
  return `  for ((i = ${first}; i < ${last}; i++)); do
    case "$at \${${words}[i]}" in
${[...steps, ...skips].map((line) => `  ${line}`).join('\n')}
    esac
  done`
}

/** For bash: sourced, or put where its completions are. */
export function bashScript(name: string, entries: readonly CommandEntry[]): string {
  const values = entries.flatMap((entry) =>
    valueOptions(entry).map(({ names, choices }) => {
      const list =
        choices.length === 0
          ? ''
          : `COMPREPLY=($(compgen -W ${quoted(choices.join(' '))} -- "$cur")); `
      return caseOf(entry.path, names, `${list}return`)
    }),
  )
  const words = entries.map(({ path, commands, options }) => {
    const names = commands.map((command) => command.name).join(' ')
    const flags = options.flatMap((option) => option.names).join(' ')
    return `    ${quoted(path)}) commands=${quoted(names)}; options=${quoted(flags)} ;;`
  })
  return `# Completion of ${name} for bash. Now: source <(${name} completion bash)
# From now on: ${name} completion bash > ~/.local/share/bash-completion/completions/${name}
_${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  local at='' commands='' options='' i
  COMPREPLY=()
${pathLoop(entries, 'COMP_WORDS', '1', 'COMP_CWORD')}
  case "$at $prev" in
${values.join('\n')}
  esac
  case "$at" in
${words.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$commands" -- "$cur"))
  fi
}
complete -o default -F _${name} ${name}
`
}

/** `word:what it does`, as zsh shows it. */
const described = (word: string, description: string): string =>
  quoted(`${word.replaceAll(':', '\\:')}:${description}`)

/** For zsh: in a folder of its fpath, or sourced. */
export function zshScript(name: string, entries: readonly CommandEntry[]): string {
  const values = entries.flatMap((entry) =>
    valueOptions(entry).map(({ names, choices }) =>
      caseOf(
        entry.path,
        names,
        choices.length === 0 ? '_files; return' : `compadd -- ${choices.join(' ')}; return`,
      ),
    ),
  )
  const words = entries.map(({ path, commands, options }) => {
    const names = commands.map((one) => described(one.name, one.description)).join(' ')
    const flags = options.flatMap((one) =>
      one.names.map((option) => described(option, one.description)),
    )
    return `    ${quoted(path)}) commands=(${names}); options=(${flags.join(' ')}) ;;`
  })
  return `#compdef ${name}
# Completion of ${name} for zsh. Now: source <(${name} completion zsh)
# From now on: ${name} completion zsh > a folder of your $fpath, as _${name}
_${name}() {
  local cur="\${words[CURRENT]}" prev="\${words[CURRENT-1]}"
  local at='' i
  local -a commands options
${pathLoop(entries, 'words', '2', 'CURRENT')}
  case "$at $prev" in
${values.join('\n')}
  esac
  case "$at" in
${words.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    _describe option options
  elif (( \${#commands} )); then
    _describe command commands
  else
    _files
  fi
}
if [[ "\${funcstack[1]}" == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi
`
}

/** For fish: in the folder of its completions, or sourced. */
export function fishScript(name: string, entries: readonly CommandEntry[]): string {
  const lines = entries.flatMap((entry) => [
    ...entry.commands.map(
      ({ name: word, description }) =>
        `complete -c ${name} -n ${fishQuoted(`__${name}_at ${fishQuoted(entry.path)}`)} -f -a ${fishQuoted(word)} -d ${fishQuoted(description)}`,
    ),
    ...entry.options.map((option) => fishOption(name, entry.path, option)),
  ])
  const steps = entries.flatMap(({ path, commands }) =>
    commands.map(
      ({ name: word }) =>
        `      case ${fishQuoted(`${path} ${word}`)}\n        set at ${fishQuoted(`${path} ${word}`.trim())}`,
    ),
  )
  const skips = entries
    .filter((entry) => valueOptions(entry).length > 0)
    .map((entry) => {
      const words = valueOptions(entry).flatMap(({ names }) => names)
      return `      case ${words.map((word) => fishQuoted(`${entry.path} ${word}`)).join(' ')}\n        set skip 1`
    })
  return `# Completion of ${name} for fish. Now: ${name} completion fish | source
# From now on: ${name} completion fish > ~/.config/fish/completions/${name}.fish
function __${name}_at
  set -l at ''
  set -l skip 0
  for word in (commandline -opc)[2..]
    if test $skip -eq 1
      set skip 0
      continue
    end
    switch "$at $word"
${[...steps, ...skips].join('\n')}
    end
  end
  test "$at" = "$argv[1]"
end
${lines.join('\n')}
`
}

function fishOption(name: string, path: string, option: OptionEntry): string {
  const { names, description, takesValue, choices } = option
  const flags = names.map((one) =>
    one.startsWith('--') ? `-l ${one.slice(2)}` : `-s ${one.slice(1)}`,
  )
  return [
    `complete -c ${name} -n ${fishQuoted(`__${name}_at ${fishQuoted(path)}`)}`,
    ...flags,
    ...(takesValue ? ['-r'] : []),
    ...(choices.length > 0 ? [`-f -a ${fishQuoted(choices.join(' '))}`] : []),
    `-d ${fishQuoted(description)}`,
  ].join(' ')
}
