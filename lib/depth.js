'use strict'

/**
 * How deeply arrays and objects may nest, the array of the arguments included. Peers reject deeper
 * values (src/proto/json/depth.rs), so they must not be sent.
 */
const MAX_DEPTH = 1000

/** Whether the JSON `text` nests too deeply. */
function isDeep(text) {
  // Only a text with many brackets can nest deeply, so others are not parsed.
  if (text.length <= 2 * MAX_DEPTH || !hasClosed(text, MAX_DEPTH)) return false
  let isString = false
  for (let at = 0, open = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x5c: // \, which stands in strings only
        at++
        break
      case 0x22: // "
        isString = !isString
        break
      case 0x5b: // [
      case 0x7b: // {
        if (!isString && ++open > MAX_DEPTH) return true
        break
      case 0x5d: // ]
      case 0x7d: // }
        if (!isString) open--
        break
    }
  }
  return false
}

/** Whether `text` has at least `count` closing brackets. */
function hasClosed(text, count) {
  let found = 0
  for (const bracket of [']', '}']) {
    let at = text.indexOf(bracket)
    for (; at !== -1; at = text.indexOf(bracket, at + 1)) {
      if (++found >= count) return true
    }
  }
  return false
}

module.exports = { MAX_DEPTH, isDeep }
