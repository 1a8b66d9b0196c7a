'use strict'

// The whole way in, from frames to handlers, on damaged JSON: a text that JSON.parse takes for an
// event is heard, once and in order, under the name that has a listener at that moment; nothing else
// is heard. unit/crossing.test.js runs a fixed part of it, `npm run fuzz -- crossing` a random one.

const assert = require('node:assert/strict')
const { NativePeer, frames } = require('./native-wire')
const { startNode } = require('./nodes')
const { event } = require('./wait')

const TEXTS = [
  '["a",1]',
  '["a",{"b":[1,"\\n"],"__proto__":{"x":0}}]',
  '["a","x",[true,null],-1.5e-7]',
  '["b","\\ud800 \\u0061",""]',
  '["b"]',
  '["\\u0062",{"t":"stopped"}]',
  ' [ "a" , "},{" ] ',
]
const LETTERS = '[]{}",:\\u0019eE+-. tnfalsrb\u2028é'

function damaged(random) {
  let text = random.pick(TEXTS)
  for (let n = random.between(0, 5); n > 2; n--) {
    const at = random.between(0, text.length)
    const removed = random.between(0, 2)
    const added = random.chance(0.7) ? random.pick(LETTERS) : ''
    text = text.slice(0, at) + added + text.slice(at + removed)
  }
  return text
}

/** The event that a text encodes, or null. */
function parse(text) {
  try {
    const value = JSON.parse(text)
    return Array.isArray(value) && typeof value[0] === 'string' ? value : null
  } catch {
    return null
  }
}

/** There is always a listener for `a`, and one for `b` after every other `a`. */
function expected(texts) {
  let listens = false
  return texts.map(parse).filter((parsed) => {
    if (parsed?.[0] === 'a') listens = !listens
    return parsed?.[0] === 'a' || (parsed?.[0] === 'b' && listens)
  })
}

/** Sends batches of damaged events while `goesOn()`; resolves to the number of events. */
async function fuzzCrossing(t, random, goesOn) {
  const node = await startNode(t)
  const peer = await NativePeer.join(node.options.port, 'fuzzer')
  t.after(() => peer.destroy())
  const from = { id: 'fuzzer', epoch: 0 }
  let heard = []
  let listens = false
  const onB = (...args) => heard.push(['b', ...args])
  const listen = (wanted) => {
    if (wanted && !listens) node.broadcast.on('b', onB)
    if (!wanted && listens) node.broadcast.removeListener('b', onB)
    listens = wanted
  }
  node.broadcast.on('a', (...args) => {
    heard.push(['a', ...args])
    listen(!listens)
  })
  let [next, messages] = [1, 0]
  while (goesOn()) {
    const texts = Array.from({ length: random.between(1, 600) }, () => damaged(random))
    const done = event(node.broadcast, 'end', 10_000)
    for (let at = 0; at < texts.length; ) {
      const run = texts.slice(at, at + random.between(1, 80))
      peer.raw(frames.publish(from, next, run))
      at += run.length
      next += run.length
    }
    peer.raw(frames.publish(from, next++, ['["end"]']))
    await done
    // Compared as text, so that the spelling counts, too.
    assert.equal(JSON.stringify(heard), JSON.stringify(expected(texts)))
    messages += texts.length
    heard = []
    listen(false)
  }
  return messages
}

module.exports = { fuzzCrossing }
