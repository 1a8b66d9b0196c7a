'use strict'

// Nodes that cannot keep up: a blocked relay, a suspended receiver, a producer that ignores
// backpressure.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { Flock, rssOf } = require('../support/flock')
const { pause, poll } = require('../support/wait')

const MIB = 1 << 20

describe('a relay whose JavaScript thread is blocked', () => {
  test('forwards everything while it is blocked, no slower than before', async (t) => {
    const flock = await Flock.line(t, ['ours', 'ours', 'ours'])
    const [left, relay, right] = flock.nodes
    const count = 20000
    const times = []
    const run = async (total) => {
      const begin = Date.now()
      await (await flock.send([left], count))()
      await flock.expect([right], [left], total)
      times.push(Date.now() - begin)
    }
    await run(count)
    // 8 MiB of text for its own listeners, far below the limit of its queue.
    await relay.command('block', { ms: 6000 })
    await flock.until(() => relay.history.some(({ t }) => t === 'blocking'), 5000)
    await run(2 * count)
    assert.ok(
      !relay.history.some(({ t }) => t === 'unblocked'),
      'all of it arrived while the relay was blocked',
    )
    t.diagnostic(
      `${count} messages: ${times[0]} ms past a running thread, ${times[1]} ms past a blocked one`,
    )
    await flock.until(() => relay.history.some(({ t }) => t === 'unblocked'), 20000)
    await flock.expect([relay], [left], 2 * count)
    flock.assertHealthy()
  })
})

describe('a receiver that is suspended for 20 s', () => {
  test('stalls no other node, costs no other node memory, and learns what it missed', async (t) => {
    const flock = await Flock.mesh(t, ['ours', 'ours', 'ours', 'ours'])
    const [one, two, three, stopped] = flock.nodes
    const awake = [one, two, three]
    // 64 MiB: more than the caches hold.
    const each = { count: 20000, size: 1000 }
    await (await flock.send(flock.nodes, 1000, { rate: 1000 }))()
    await flock.expect(flock.nodes, flock.nodes, 1000)
    const before = awake.map(({ pid }) => rssOf(pid))

    stopped.signal('SIGSTOP')
    const since = Date.now()
    await (await flock.send(awake, each.count, { rate: 4000, size: each.size }))()
    await flock.expect(awake, awake, 1000 + each.count)
    const after = awake.map(({ pid }) => rssOf(pid))
    await pause(Math.max(0, since + 20000 - Date.now()))
    stopped.signal('SIGCONT')

    for (const node of awake) await flock.link(stopped, node, 60000)
    await (await flock.send(awake, 1000, { rate: 1000 }))()
    await flock.expect(awake, awake, 2000 + each.count)
    // The messages that it heard and those reported as missed add up to all, in order.
    const total = 2000 + each.count
    const settled = async () => {
      const heard = await flock.tally(stopped)
      return awake.every(({ id }) => heard[id].last === total) && heard
    }
    const heard = await poll(settled, 60000, 'it hears the last message of each')
    const { skipped } = await stopped.command('told')
    let count = 0
    for (const { id } of awake) {
      const { doubles, late, missing, holes } = heard[id]
      t.diagnostic(`of ${id}: ${heard[id].count} heard, ${missing} missed in ${holes} places`)
      assert.deepEqual({ doubles, late }, { doubles: 0, late: 0 })
      assert.equal(heard[id].count + missing, total)
      count += missing
    }
    assert.equal(skipped, count, 'it is told of everything it missed')
    assert.ok(count < 3 * each.count, 'the caches held some of it')
    for (const [index, node] of awake.entries()) {
      const grown = (after[index] - before[index]) / MIB
      t.diagnostic(`${node.name} grew by ${grown.toFixed(1)} MiB`)
      // Cache 32 MiB, and 16 MiB in a queue and on their way.
      assert.ok(grown < 96, `${grown} MiB`)
    }
    flock.assertHealthy()
  })
})

describe('a producer', () => {
  test('that waits for drain loses nothing', async (t) => {
    const flock = await Flock.line(t, ['ours', 'ours'])
    const [producer, consumer] = flock.nodes
    consumer.signal('SIGSTOP')
    // 20 MiB, more than a queue holds: the producer must wait until the receiver continues.
    const sent = await flock.send([producer], 5000, { size: 4096 })
    let last = 0
    const stands = async () => {
      const { sent } = await producer.command('stats')
      const isSame = sent > 0 && sent === last
      last = sent
      return isSame
    }
    await poll(stands, 20000, 'it sends no more', 1000)
    assert.equal(producer.history.filter(({ t }) => t === 'sent').length, 0, 'it waits')
    consumer.signal('SIGCONT')
    await sent()
    await flock.expect([consumer], [producer], 5000)
    const { drains } = await producer.command('told')
    assert.ok(drains > 0, 'drain came')
    flock.assertHealthy()
  })

  test('that floods a mesh as fast as backpressure allows causes no loss', async (t) => {
    const flock = await Flock.mesh(t, ['ours', 'ours', 'ours', 'ours'])
    const [producer, ...consumers] = flock.nodes
    const count = 1_500_000
    await (await flock.send([producer], count))()
    await flock.expect(consumers, [producer], count)
    const stats = await Promise.all(consumers.map((node) => node.command('stats')))
    for (const { skipped } of stats) assert.equal(skipped, 0)
    t.diagnostic(`grafts: ${stats.map(({ grafts }) => grafts)}`)
    flock.assertHealthy()
  })

  test('that ignores backpressure is refused at a limit, and gets a drain event', async (t) => {
    const flock = await Flock.line(t, ['ours', 'ours'])
    const [producer, consumer] = flock.nodes
    consumer.signal('SIGSTOP')
    const outcome = await producer.command('sendRecklessly', { size: 4096, most: 50000 }, 60000)
    assert.equal(outcome.refused, 'ERR_SMOKE_OVERLOADED')
    assert.ok(outcome.falses > 0, 'emit had returned false')
    t.diagnostic(`refused after ${outcome.sent} messages, ${(outcome.grown / MIB).toFixed(1)} MiB`)
    assert.ok(outcome.sent * 4096 < 32 * MIB, `${outcome.sent} were taken`)
    assert.ok(outcome.grown < 128 * MIB, `${outcome.grown / MIB} MiB`)
    consumer.signal('SIGCONT')
    await flock.until(() => producer.history.some(({ t }) => t === 'drained'), 20000, 'drain')
    await flock.expect([consumer], [producer], outcome.sent)
    flock.assertHealthy()
  })
})
