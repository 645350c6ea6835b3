// The command that starts mock-fal: that of MOCK_FAL_COMMAND, `mock-fal` of PATH, `uvx mock-fal` or `pipx run mock-fal`.
'use strict'

const { accessSync, constants, statSync } = require('node:fs')
const { delimiter, join, sep } = require('node:path')

const WAYS = [['mock-fal'], ['uvx', 'mock-fal'], ['pipx', 'run', 'mock-fal']]

const FOUR_WAYS = `mock-fal is a Python program, and this package starts it. It was not found. There are four ways:
  1. Install it, so that the command mock-fal is in PATH: pip install mock-fal
  2. Set MOCK_FAL_COMMAND to the command that runs it, such as: .venv/bin/mock-fal, or: python3 -m mock_fal
  3. Install uv or pipx: this package then runs \`uvx mock-fal\` or \`pipx run mock-fal\`
  4. Start it yourself, with \`mock-fal serve\`, and set MOCK_FAL_URL to its address: http://127.0.0.1:8325`

/** The program and its first arguments. Throws an Error that names the four ways if there is none. */
function findCommand(env = process.env) {
  const own = words(env.MOCK_FAL_COMMAND || '')
  if (own.length) return own
  for (const [name, ...args] of WAYS) {
    const path = which(name, env)
    if (path) return [path, ...args]
  }
  throw Object.assign(new Error(FOUR_WAYS), { code: 'ERR_MOCK_FAL_NOT_FOUND' })
}

/** The words of a command line; quotes keep spaces. */
function words(text) {
  return Array.from(text.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g), ([word]) => word.replace(/"([^"]*)"|'([^']*)'/g, '$1$2'))
}

/** The path of a program in PATH. The folders of npm are left out: the `mock-fal` there is the one of this package. */
function which(name, env) {
  const path = env.PATH || env.Path || ''
  const names = process.platform === 'win32' ? [`${name}.exe`] : [name]
  for (const folder of path.split(delimiter)) {
    if (!folder || folder.endsWith(join('node_modules', '.bin')) || folder.endsWith(join('node_modules', '.bin') + sep)) continue
    for (const file of names.map((each) => join(folder, each))) if (isProgram(file)) return file
  }
  return null
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

module.exports = { findCommand, words }
