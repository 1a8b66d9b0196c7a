'use strict'

const types = require('node:util/types')
const { MAX_DEPTH } = require('./depth')
const { tooDeep, tooLarge } = require('./errors')
const { parse, stringify } = require('./globals')

const { isAnyArrayBuffer, isBoxedPrimitive, isSymbolObject, isUint8Array } = types

/** Placeholder of an attachment in the JSON of an event: `{"\u0000b": index}`. */
const PLACEHOLDER = '\u0000b'
/** Application keys that look like a placeholder. Each gets one more `b` on the wire. */
const ESCAPED = new RegExp(`^${PLACEHOLDER}+$`)
const dateToJSON = Date.prototype.toJSON
/** `JSON.rawJSON` values; older Node.js versions do not have them. */
const isRawJSON = JSON.isRawJSON ?? (() => false)

/** The number of objects to visit without remembering them. */
const MANY = 1000
const NO = 0
const YES = 1
const TOO_MANY = 2
// How many of those are left.
let left = 0

/**
 * Whether `value` needs `detach`: it contains binary data, or an object whose `toJSON` may return
 * binary data. Everything else goes to `JSON.stringify`.
 *
 * Takes time proportional to the number of objects in `value`, however they refer to each other.
 */
function needsWriting(value) {
  if (typeof value !== 'object') return typeof value === 'function' && describesItself(value)
  if (value === null) return false
  left = MANY
  const found = look(value)
  return found === TOO_MANY ? lookEverywhere(value) : found === YES
}

// Every emitted object passes here. Most are small and plain, so this path is short.
function look(value) {
  if (isBinaryOrDescribesItself(value)) return YES
  if (--left < 0) return TOO_MANY
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const found = lookAtMember(value[index])
      if (found !== NO) return found
    }
    return NO
  }
  for (const key in value) {
    const found = lookAtMember(value[key])
    if (found !== NO) return found
  }
  return NO
}

function lookAtMember(member) {
  if (typeof member === 'object') return member === null ? NO : look(member)
  return typeof member === 'function' && describesItself(member) ? YES : NO
}

/** The same for values that are large, deep or cyclic. */
function lookEverywhere(value) {
  const seen = new Set([value])
  // A Set's iteration also visits the objects that are added during it.
  for (const object of seen) {
    if (isBinaryOrDescribesItself(object)) return true
    const members = Array.isArray(object) ? object : Object.values(object)
    for (let index = 0; index < members.length; index++) {
      const member = members[index]
      if (typeof member === 'object' && member !== null) seen.add(member)
      else if (typeof member === 'function' && describesItself(member)) return true
    }
  }
  return false
}

function isBinaryOrDescribesItself(value) {
  const type = value.constructor
  return (type !== Object && type !== Array && isBinary(value)) || describesItself(value)
}

/** A Date becomes text. */
function describesItself(value) {
  return typeof value.toJSON === 'function' && value.toJSON !== dateToJSON
}

/** Writes one message; see `detach`. */
class Writer {
  attachments = []
  hasEscaped = false
  #message
  #maxSize
  #size = 0
  // The objects that enclose the current one.
  #ancestors = null

  constructor(message, maxSize) {
    this.#message = message
    this.#maxSize = maxSize
  }

  /** The JSON of the whole message. */
  write() {
    let text = '['
    for (let index = 0; index < this.#message.length; index++) {
      const argument = this.#message[index]
      if (index > 0) text += ','
      text += (needsWriting(argument) ? this.#value(argument, '') : this.#plain(argument)) ?? 'null'
    }
    return `${text}]`
  }

  #plain(argument) {
    const text = stringify(argument)
    // The text may have a key that looks like a placeholder.
    return text?.includes('\\u0000b') ? this.#value(argument, '') : text
  }

  #value(given, key) {
    let value = given
    if (value !== null && (typeof value === 'object' || typeof value === 'function')) {
      if (isBinary(value)) return this.#attach(value)
      if (typeof value.toJSON === 'function') value = value.toJSON(key)
    }
    if (typeof value !== 'object' || value === null) {
      // JSON has no text for a function, even if it has a `toJSON`.
      return typeof value === 'function' ? undefined : this.#count(stringify(value))
    }
    if (isBinary(value)) return this.#attach(value)
    if (isRawJSON(value) || (isBoxedPrimitive(value) && !isSymbolObject(value))) {
      return this.#count(stringify(value))
    }
    this.#ancestors ??= new Set()
    // The array of the arguments counts as one level.
    if (this.#ancestors.has(value) || this.#ancestors.size + 1 >= MAX_DEPTH) this.#refuse()
    this.#ancestors.add(value)
    const text = Array.isArray(value) ? this.#array(value) : this.#object(value)
    this.#ancestors.delete(value)
    return text
  }

  #array(array) {
    let text = '['
    for (let index = 0; index < array.length; index++) {
      if (index > 0) text += this.#count(',')
      text += this.#value(array[index], String(index)) ?? this.#count('null')
    }
    this.#spend(2)
    return `${text}]`
  }

  #object(object) {
    let text = ''
    for (const key of Object.keys(object)) {
      const member = this.#value(object[key], key)
      if (member === undefined) continue
      const name = this.#name(key)
      text += text === '' ? `${name}:${member}` : `,${name}:${member}`
    }
    this.#spend(2)
    return `{${text}}`
  }

  #name(key) {
    if (key.charCodeAt(0) !== 0 || !ESCAPED.test(key)) return this.#count(stringify(key))
    this.hasEscaped = true
    return this.#count(stringify(`${key}b`))
  }

  #attach(value) {
    const bytes = bytesOf(value)
    this.attachments.push(bytes)
    this.#spend(bytes.byteLength)
    return this.#count(`{"\\u0000b":${this.attachments.length - 1}}`)
  }

  #count(text) {
    if (text !== undefined) this.#spend(text.length)
    return text
  }

  /**
   * Stops a message that is too large. Shared parts count once per reference, as they are written.
   */
  #spend(size) {
    this.#size += size
    if (this.#size > this.#maxSize) throw tooLarge(this.#maxSize)
  }

  /** Throws for a cycle or for a value that nests too deeply. */
  #refuse() {
    // The error of JSON.stringify names the members of the cycle.
    for (const argument of this.#message) stringify(argument)
    throw tooDeep(MAX_DEPTH)
  }
}

/**
 * Writes an event's name and arguments like `JSON.stringify`, except that binary data becomes
 * `attachments`, with placeholders in the JSON. Throws the errors of `JSON.stringify`, and throws as
 * soon as the message is larger than `maxSize`.
 */
function detach(message, maxSize) {
  const writer = new Writer(message, maxSize)
  const json = writer.write()
  const { attachments } = writer
  if (attachments.length > 0 || !writer.hasEscaped) return { json, attachments }
  return { json: stringify(attach(parse(json), [])), attachments }
}

/** Replaces the placeholders by their `attachments` and returns the value. */
function attach(value, attachments) {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      value[index] = attach(value[index], attachments)
    }
    return value
  }
  if (Object.hasOwn(value, PLACEHOLDER)) {
    const index = value[PLACEHOLDER]
    if (Number.isInteger(index) && index >= 0 && index < attachments.length) {
      return attachments[index]
    }
  }
  let hasEscaped = false
  for (const key of Object.keys(value)) {
    if (key.charCodeAt(0) === 0 && key !== PLACEHOLDER && ESCAPED.test(key)) hasEscaped = true
    const member = value[key]
    const attached = attach(member, attachments)
    if (attached === member) continue
    // An assignment to __proto__ would change the prototype.
    if (key === '__proto__') Object.defineProperty(value, key, { value: attached })
    else value[key] = attached
  }
  return hasEscaped ? Object.fromEntries(Object.entries(value).map(unescaped)) : value
}

function unescaped([key, member]) {
  return [key !== PLACEHOLDER && ESCAPED.test(key) ? key.slice(0, -1) : key, member]
}

function isBinary(value) {
  return ArrayBuffer.isView(value) || isAnyArrayBuffer(value)
}

function bytesOf(value) {
  if (isUint8Array(value)) return value
  return isAnyArrayBuffer(value)
    ? new Uint8Array(value)
    : new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
}

module.exports = { attach, detach, needsWriting }
