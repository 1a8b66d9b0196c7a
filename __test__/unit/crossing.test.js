'use strict'

// The whole way in, from frames to handlers, with hostile texts.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { fuzzCrossing } = require('../support/crossing')
const { seeded } = require('../support/flock')
const { NativePeer, frames } = require('../support/native-wire')
const { startNode } = require('../support/nodes')
const { event } = require('../support/wait')

test('damaged events are heard exactly as JSON.parse reads them', async (t) => {
  let batches = 0
  const messages = await fuzzCrossing(t, seeded(1), () => ++batches <= 20)
  assert.ok(messages > 1000, `${messages} messages`)
})

/** The arguments that arrive when several origins share a segment. */
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

test('texts that only together have balanced brackets are not taken for events', async (t) => {
  const heard = await heardOf(t, [['liar', ['["a",1]', '["a",2,3,4]', '["a",[0]', '["a",9]]']]])
  assert.deepEqual(heard, [[1], [2, 3, 4]])
})

test('an event between the open bracket of one message and the closing one of another is heard', async (t) => {
  const heard = await heardOf(t, [
    ['liar', ['["a",1]', '["a",[[2]']],
    ['honest', ['["a",3]', '["a",4]']],
    ['liar', ['["a",5]', '["a",6]]]']],
  ])
  assert.deepEqual(heard, [[1], [3], [4], [5]])
})
