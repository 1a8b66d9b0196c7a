'use strict'

const { argumentError, optionError } = require('./errors')
const { parse, stringify } = require('./globals')

/** How much a node may tell everyone of itself, in bytes of JSON. */
const MAX_META = 512
const MAX_HANDLES = 1024

/** Checks what an application tells of its node; returns a copy, as others will see it. */
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

/** Checks that the names of a node's handlers can be told to everyone. */
function checkHandles(names) {
  if (Buffer.byteLength(stringify(names)) <= MAX_HANDLES) return
  const message = `the names of all handlers must not be more than ${MAX_HANDLES} bytes of JSON`
  throw argumentError(RangeError, 'ERR_SMOKE_ARGUMENT', message)
}

/** What a node tells everyone of itself, as text. */
function writeRecord(meta, handles) {
  return stringify({ m: meta, h: handles })
}

/** The same of another node: it can be anything. */
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
