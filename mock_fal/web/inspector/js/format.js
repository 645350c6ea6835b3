// Numbers as a person reads them: times, durations, money, sizes.

const two = (number) => String(number).padStart(2, '0')

/** `14:03:22`, in the time zone of the browser. */
export function time(at) {
  const date = new Date(at * 1000)
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** `14:03:22.123`. */
export function exactTime(at) {
  return `${time(at)}.${String(Math.floor((at * 1000) % 1000)).padStart(3, '0')}`
}

/** `2026-11-27 14:03:22`. */
export function dateTime(at) {
  const date = new Date(at * 1000)
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time(at)}`
}

/** `340 ms`, `3.42 s`, `2 m 03 s`, `1 h 05 m`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return '–'
  if (seconds > 0 && seconds < 0.001) return '< 1 ms'
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 60) return `${seconds.toFixed(2)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${two(Math.floor(seconds % 60))} s`
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} m`
}

/** `$0.0030`, `$0`; a dash for a price that is not known. */
export function money(dollars) {
  if (dollars === null || dollars === undefined) return '–'
  if (dollars === 0) return '$0'
  return `$${dollars.toFixed(Math.abs(dollars) < 0.0001 ? 6 : 4)}`
}

/** `$4.21`, for sums that stand alone. */
export function sum(dollars) {
  return dollars === null || Math.abs(dollars) < 1 ? money(dollars) : `$${dollars.toFixed(2)}`
}

/** `832 B`, `12.4 kB`, `3.1 MB`. */
export function bytes(size) {
  if (size === null || size === undefined) return '–'
  if (size < 1000) return `${size} B`
  return size < 1e6 ? `${(size / 1000).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`
}

/** `1 attempt`, `2 attempts`, `10,000 requests`. */
export function count(number, noun) {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`
}
