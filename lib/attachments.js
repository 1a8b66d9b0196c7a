'use strict'

const { isAnyArrayBuffer } = require('node:util/types')

/** Stands for an attachment in the JSON of an event: `{"\u0000b": index}`. */
const PLACEHOLDER = '\u0000b'

/** Whether there is binary data anywhere in `value`. */
function isOrHasBinary(value) {
  return typeof value === 'object' && value !== null && findsBinary(value, null)
}

// Every object that is emitted passes here: the usual ones, flat and plain, have the short way.
function findsBinary(value, ancestors) {
  const type = value.constructor
  if (type !== Object && type !== Array && isBinary(value)) return true
  // What describes itself is JSON's business.
  if (typeof value.toJSON === 'function') return false
  let path = null
  for (const key in value) {
    const member = value[key]
    if (typeof member !== 'object' || member === null) continue
    path ??= ancestors === null ? [value] : [...ancestors, value]
    // So is a cycle: JSON.stringify throws for it.
    if (!path.includes(member) && findsBinary(member, path)) return true
  }
  return false
}

/** A copy of `value` with placeholders for binary data, which goes into `attachments`. */
function detach(value, attachments) {
  if (typeof value !== 'object' || value === null) return value
  if (isBinary(value)) {
    attachments.push(bytesOf(value))
    return { [PLACEHOLDER]: attachments.length - 1 }
  }
  if (typeof value.toJSON === 'function') return value
  if (Array.isArray(value)) return value.map((element) => detach(element, attachments))
  // Without a prototype, so that a member named __proto__ is a member like any other.
  const copy = Object.create(null)
  for (const key of Object.keys(value)) copy[key] = detach(value[key], attachments)
  return copy
}

/** Puts `attachments` in the place of their placeholders, and returns the value. */
function attach(value, attachments) {
  if (typeof value !== 'object' || value === null) return value
  const index = value[PLACEHOLDER]
  if (Number.isInteger(index) && index >= 0 && index < attachments.length) return attachments[index]
  for (const key of Object.keys(value)) {
    const member = value[key]
    if (typeof member !== 'object' || member === null) continue
    const attached = attach(member, attachments)
    // The key __proto__ is left alone: to assign to it would change the prototype.
    if (attached !== member && key !== '__proto__') value[key] = attached
  }
  return value
}

function isBinary(value) {
  return ArrayBuffer.isView(value) || isAnyArrayBuffer(value)
}

function bytesOf(value) {
  return isAnyArrayBuffer(value)
    ? new Uint8Array(value)
    : new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
}

module.exports = { attach, detach, isOrHasBinary }
