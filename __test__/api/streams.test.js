'use strict'

const assert = require('node:assert/strict')
const { PassThrough, Readable, Writable, finished, pipeline } = require('node:stream')
const { test } = require('node:test')
const { promisify } = require('node:util')
const { event, poll, within } = require('../support/wait')
const { collect, startNetwork, startPair } = require('../support/nodes')

/** A Writable that collects its chunks. */
function sink() {
  const stream = new Writable({
    write(chunk, _, done) {
      stream.text += chunk
      done()
    },
  })
  stream.text = ''
  return stream
}

test('chunks reach every other node in order', async (t) => {
  const nodes = await startNetwork(t, 3)
  const texts = nodes.map(() => '')
  nodes.forEach((node, index) => {
    node.broadcast.on('data', (chunk) => {
      assert.ok(Buffer.isBuffer(chunk))
      texts[index] += chunk
    })
  })
  for (let n = 0; n < 50; n++) nodes[1].broadcast.write(`${n} `)
  const all = Array.from({ length: 50 }, (_, n) => `${n} `).join('')
  await poll(() => texts[0] === all && texts[2] === all, 5000, 'all chunks')
  assert.equal(texts[1], '')
})

test('in | node.broadcast | out: each side gets the lines of the other', async (t) => {
  const { a, b } = await startPair(t)
  const ends = [a, b].map(({ broadcast }) => {
    const [stdin, stdout] = [new PassThrough(), sink()]
    stdin.pipe(broadcast).pipe(stdout)
    return { stdin, stdout }
  })
  ends[0].stdin.write('from a')
  ends[1].stdin.write('from b')
  await poll(() => ends[0].stdout.text && ends[1].stdout.text, 5000, 'both lines')
  assert.deepEqual([ends[0].stdout.text, ends[1].stdout.text], ['from b', 'from a'])
  // The end of input stops the output of a, but not its input.
  ends[0].stdin.end()
  await event(a.broadcast, 'finish')
  ends[1].stdin.write(', again')
  await poll(() => ends[0].stdout.text === 'from b, again', 5000, 'the second line')
})

test('unpipe works both ways', async (t) => {
  const { toA, toB } = await startPair(t)
  const [source, out] = [new PassThrough(), sink()]
  source.pipe(toB)
  toA.pipe(out)
  source.write('one')
  await poll(() => out.text === 'one', 5000, 'one')
  source.unpipe(toB)
  source.write('two')
  toB.write('three')
  await poll(() => out.text === 'onethree', 5000, 'three')
  // As with any stream, unpipe pauses the source.
  toA.unpipe(out).resume()
  const next = collect(toA, 'data', 1)
  toB.write('four')
  assert.deepEqual(await next, [[Buffer.from('four')]])
  assert.equal(out.text, 'onethree')
})

test('setEncoding gives strings, with whole characters', async (t) => {
  const { toA, toB } = await startPair(t)
  toA.setEncoding('utf8')
  const chunks = collect(toA, 'data', 2)
  const bytes = Buffer.from('é')
  toB.write('a')
  await new Promise(setImmediate)
  toB.write(bytes.subarray(0, 1))
  toB.write(bytes.subarray(1))
  assert.equal((await chunks).flat().join(''), 'aé')
})

test('pipeline(source, peer, sink) ends with the peer', async (t) => {
  const { toA, toB } = await startPair(t)
  const out = sink()
  const over = promisify(pipeline)(Readable.from(['question']), toB, out)
  assert.deepEqual(await collect(toA, 'data', 1), [[Buffer.from('question')]])
  toA.write('answer')
  await poll(() => out.text === 'answer', 5000, 'the answer')
  toA.close()
  await within(over, 5000, 'the pipeline ends')
})

test('pipeline(source, node.broadcast, sink) carries both ways and can be repeated', async (t) => {
  const { a, b } = await startPair(t)
  b.broadcast.setEncoding('utf8')
  for (let round = 0; round < 3; round++) {
    const controller = new AbortController()
    const [source, out] = [new PassThrough(), sink()]
    const over = promisify(pipeline)(source, a.broadcast, out, { signal: controller.signal })
    const heard = collect(b.broadcast, 'data', 1)
    source.write(`out ${round}`)
    assert.deepEqual(await heard, [[`out ${round}`]])
    b.broadcast.write(`in ${round}`)
    await poll(() => out.text === `in ${round}`, 5000, 'the answer')
    controller.abort()
    await assert.rejects(over, { name: 'AbortError' })
    await new Promise(setImmediate)
    await new Promise(setImmediate)
  }
  assert.equal(a.listening, true)
})

test('for await reads a peer until it leaves', async (t) => {
  const { toA, toB } = await startPair(t)
  const read = (async () => {
    let text = ''
    for await (const chunk of toA) text += chunk
    return text
  })()
  for (const word of ['one ', 'two ', 'three']) toB.write(word)
  toB.close()
  assert.equal(await within(read, 5000, 'the loop ends'), 'one two three')
})

test('for await over the broadcast can end and begin again', async (t) => {
  const { a, b } = await startPair(t)
  for (const word of ['one', 'two']) {
    const read = (async () => {
      for await (const chunk of b.broadcast) return String(chunk)
    })()
    await poll(
      () =>
        b.broadcast.listenerCount('readable') + b.broadcast.stream.listenerCount('readable') > 0,
      1000,
      'it reads',
    )
    a.broadcast.write(word)
    assert.equal(await within(read, 5000, word), word)
    await poll(() => !b.broadcast.destroyed, 1000, 'a new stream')
  }
})

test('nothing is kept for a stream without a reader', async (t) => {
  const { a, b } = await startPair(t)
  const over = collect(b.broadcast, 'over', 1)
  for (let n = 0; n < 100; n++) a.broadcast.write('x'.repeat(1000))
  a.broadcast.emit('over')
  await over
  assert.equal(b.broadcast.readableLength, 0)
  const heard = collect(b.broadcast, 'data', 1)
  a.broadcast.write('now')
  assert.deepEqual(await heard, [[Buffer.from('now')]])
})

test('write signals backpressure, drain follows, and everything arrives', {
  timeout: 60_000,
}, async (t) => {
  const { toA, toB } = await startPair(t)
  const total = 20 * 1024 * 1024
  let received = 0
  const done = new Promise((resolve) => {
    toA.on('data', (chunk) => {
      received += chunk.length
      if (received === total) resolve()
    })
  })
  const chunk = Buffer.alloc(64 * 1024, 'x')
  let waits = 0
  for (let sent = 0; sent < total; sent += chunk.length) {
    if (toB.write(chunk)) continue
    waits++
    await event(toB, 'drain')
  }
  await within(done, 30_000, 'everything arrives')
  assert.ok(waits > 0)
})

test('finished reports a peer that leaves', async (t) => {
  const { toA, toB } = await startPair(t)
  toA.resume()
  const over = promisify(finished)(toA)
  toB.close()
  await within(over, 5000, 'finished')
})
