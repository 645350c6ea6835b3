// Placeholders for files in an output of your own.
'use strict'

/** A file object of fal: of a kind that mock-fal makes, with options, or of your own bytes. */
function file(content, options = {}) {
  return { $file: described(content, options) }
}

/** As `file`, but the URL alone. */
function fileUrl(content, options = {}) {
  return { $file_url: described(content, options) }
}

function described(content, options) {
  if (typeof content === 'string') return { kind: content, ...options }
  if (ArrayBuffer.isView(content)) {
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
    return { kind: 'own', content: bytes.toString('base64'), ...options }
  }
  throw new TypeError(`a file is ${typeof content}, expected a kind such as "video", or a Buffer with { content_type, file_name }`)
}

module.exports = { file, fileUrl }
