'use strict'

// The whole way in, from frames to handlers, on damaged JSON: what JSON.parse takes for an event is
// heard, once and in order, under whatever is listened for at that moment, and nothing else is.
// Two seconds, or FUZZ_SECONDS; SEED repeats a run.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { startNode } = require('../api/nodes')
const { seedOf, seeded } = require('../support/flock')
const { NativePeer, frames } = require('../support/native-wire')
const { event } = require('../support/wait')

const SECONDS = Number(process.env.FUZZ_SECONDS ?? 2)
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

/** The event that a text stands for, if it stands for one. */
function parse(text) {
  try {
    const value = JSON.parse(text)
    return Array.isArray(value) && typeof value[0] === 'string' ? value : null
  } catch {
    return null
  }
}

/** Who listens: always for `a`; for `b` after every other `a`. */
function expected(texts) {
  let listens = false
  return texts.map(parse).filter((parsed) => {
    if (parsed?.[0] === 'a') listens = !listens
    return parsed?.[0] === 'a' || (parsed?.[0] === 'b' && listens)
  })
}

test('damaged events are heard exactly as JSON.parse has them', async (t) => {
  const random = seeded(seedOf(t))
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
  const end = Date.now() + SECONDS * 1000
  while (Date.now() < end) {
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
    // As text: what handlers get and what JSON.parse makes must be spelled alike.
    assert.equal(JSON.stringify(heard), JSON.stringify(expected(texts)))
    messages += texts.length
    heard = []
    listen(false)
  }
  t.diagnostic(`${messages} messages`)
  assert.ok(messages > 0)
})

/** What is heard of what several origins said, at once. */
async function heardOf(t, said) {
  const node = await startNode(t)
  const peer = await NativePeer.join(node.options.port, 'relay')
  t.after(() => peer.destroy())
  const heard = []
  node.broadcast.on('a', (...args) => heard.push(args))
  const done = event(node.broadcast, 'end', 10_000)
  const next = {}
  const publish = (id, texts) => {
    const first = next[id] ?? 1
    next[id] = first + texts.length
    return frames.publish({ id, epoch: 0 }, first, texts)
  }
  peer.raw(Buffer.concat([...said, ['liar', ['["end"]']]].map((run) => publish(...run))))
  await done
  return heard
}

test('arguments that make as many of another number are no others', async (t) => {
  const heard = await heardOf(t, [['liar', ['["a",1]', '["a",2,3,4]', '["a",[0]', '["a",9]]']]])
  assert.deepEqual(heard, [[1], [2, 3, 4]])
})

test('what stands between an open bracket of one message and the closing one of another is heard', async (t) => {
  const heard = await heardOf(t, [
    ['liar', ['["a",1]', '["a",[[2]']],
    ['honest', ['["a",3]', '["a",4]']],
    ['liar', ['["a",5]', '["a",6]]]']],
  ])
  assert.deepEqual(heard, [[1], [3], [4], [5]])
})
