'use strict'

const { argumentError, optionError } = require('./errors')
const { parse, stringify } = require('./globals')

/** Maximum size of a node's `meta`, in bytes of JSON. */
const MAX_META = 512
const MAX_HANDLES = 1024

/** Checks an application's `meta`. Returns the copy that others will see. */
function readMeta(meta, fail) {
  const text = stringify(meta)
  if (text === undefined) {
    if (meta === undefined) return undefined
    throw fail(TypeError, '"meta" must be JSON: an object, an array, a string, a number, …')
  }
  if (Buffer.byteLength(text) > MAX_META) {
    throw fail(RangeError, `"meta" must be at most ${MAX_META} bytes of JSON`)
  }
  return parse(text)
}

/** Checks the option `meta`. */
function readMetaOption(meta) {
  return readMeta(meta, (Base, message) => optionError(Base, 'meta', message))
}

/** Checks the argument of `setMeta`. */
function readMetaArgument(meta) {
  return readMeta(meta, (Base, message) => argumentError(Base, 'ERR_SMOKE_ARGUMENT', message))
}

/** Checks that the names of a node's handlers fit into its record. */
function checkHandles(names) {
  if (Buffer.byteLength(stringify(names)) <= MAX_HANDLES) return
  const message = `the names of all handlers must not be more than ${MAX_HANDLES} bytes of JSON`
  throw argumentError(RangeError, 'ERR_SMOKE_ARGUMENT', message)
}

/** The text of a node's record. */
function writeRecord(meta, handles) {
  return stringify({ m: meta, h: handles })
}

/** Reads the record of another node, which may be anything. */
function readRecord(text) {
  try {
    const { m: meta, h: handles } = Object(parse(text))
    const isList = Array.isArray(handles) && handles.every((name) => typeof name === 'string')
    return { meta, handles: isList ? [...new Set(handles)] : [] }
  } catch {
    return { meta: undefined, handles: [] }
  }
}

module.exports = { checkHandles, readMetaArgument, readMetaOption, readRecord, writeRecord }
