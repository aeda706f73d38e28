/** The url of a fork, told from the url of its source and the name that the fork was given. */
export function placeOfFork(url: string, into: string): string {
  if (url.startsWith('sqlite:')) return `sqlite:${into}`
  return `${url}${url.includes('?') ? '&' : '?'}schema=${into}`
}
