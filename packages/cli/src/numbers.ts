const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** 80491 as `80,491`. */
export const count = (value: number): string => grouped.format(value)

/** `1 event`, `80,491 events`. */
export const counted = (value: number, noun: string): string =>
  `${count(value)} ${noun}${value === 1 ? '' : 's'}`
