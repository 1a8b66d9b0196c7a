'use strict'

const assert = require('node:assert/strict')
const { Flock, descriptorsOf, rssOf, seeded } = require('../support/flock')
const { pause, poll } = require('../support/wait')

const MIB = 1 << 20
/** Nodes that stay; they must hear each other without a loss. */
const CORE = 5
/** Nodes that come and go. */
const GUESTS = 3
const RATE = 300
const ROUND_MS = 15000
/** How much a node may hold in addition to its memory after the first round: cache and queues. */
const MOST_GROWN = 128 * MIB
const MOST_DESCRIPTORS = 24
/** Another soak on this machine may get the port of a guest that died. */
const network = `soak ${process.pid}`

/** Runs eight nodes for `minutes`. Resolves to a summary; rejects on any violation. */
async function soak({ minutes, seed, say = () => {} }) {
  say(`seed ${seed}`)
  const random = seeded(seed)
  const flock = new Flock()
  try {
    return await run(flock, random, minutes * 60000, say)
  } finally {
    await flock.end()
  }
}

async function run(flock, random, duration, say) {
  const core = []
  for (let n = 0; n < CORE; n++) {
    const seeds = core.slice(0, 2).map(({ address, port }) => ({ address, port }))
    core.push(await flock.add('ours', { network, seeds, minPeerNo: 3, maxPeerNo: 7 }))
    await flock.until(() => n === 0 || core[n].peers.length > 0, 20000, 'it has entered')
  }
  const seeds = core.slice(0, 2).map(({ address, port }) => ({ address, port }))
  const guests = []
  const summary = { rounds: 0, messages: 0, cuts: 0, guests: 0, mostGrown: 0, mostDescriptors: 0 }
  const end = Date.now() + duration
  let baseline = null
  while (Date.now() < end || summary.rounds < 2) {
    const length = Math.max(3000, Math.min(ROUND_MS, duration / 4))
    const count = Math.round((RATE * length) / 1000)
    // Small messages, and occasionally a round of large ones.
    const size = random.pick([0, 0, 100, 1000, 10000])
    const sent = await flock.send(core, count, { rate: RATE, size })
    let isOver = false
    const over = sent().finally(() => {
      isOver = true
    })
    while (!isOver) {
      await upset(flock, random, { core, guests, seeds, summary })
      await pause(random.between(50, 500))
    }
    await over
    summary.rounds++
    summary.messages += count * CORE
    const total = summary.messages / CORE
    await flock.expect(core, core, total)
    flock.assertHealthy(core)

    const now = core.map(({ pid }) => ({ rss: rssOf(pid), descriptors: descriptorsOf(pid) }))
    baseline ??= now
    for (const [index, { rss, descriptors }] of now.entries()) {
      const grown = rss - baseline[index].rss
      const opened = descriptors - baseline[index].descriptors
      summary.mostGrown = Math.max(summary.mostGrown, Math.round(grown / MIB))
      summary.mostDescriptors = Math.max(summary.mostDescriptors, opened)
      assert.ok(grown < MOST_GROWN, `${core[index].name} grew by ${grown / MIB} MiB`)
      assert.ok(opened < MOST_DESCRIPTORS, `${core[index].name} opened ${opened} descriptors`)
    }
    say(`round ${summary.rounds}: ${total} messages of each, ${JSON.stringify(summary)}`)
  }
  await Promise.all(guests.map((guest) => guest.kill()))
  await poll(
    () => core.every((node) => node.peers.every((id) => core.some((other) => other.id === id))),
    30000,
    'the guests are forgotten',
  )
  return summary
}

/** One of the events of a round. */
async function upset(flock, random, { core, guests, seeds, summary }) {
  const what = random.between(0, 9)
  if (what < 5) {
    const node = random.pick(core)
    const [id] = node.peers.length > 1 ? [random.pick(node.peers)] : []
    if (id && (await node.command('cut', { id }))) summary.cuts++
  } else if (what < 7 && guests.length < GUESTS) {
    const guest = await flock.add('ours', { network, seeds, minPeerNo: 2, maxPeerNo: 5 })
    guests.push(guest)
    summary.guests++
    await guest.command('send', { count: 2000, rate: 200, size: 100 })
  } else if (what < 9 && guests.length > 0) {
    const [guest] = guests.splice(random.between(0, guests.length - 1), 1)
    flock.drop(guest)
    if (random.chance(0.5)) await guest.kill()
    else {
      await guest.command('stop')
      await guest.kill()
    }
  } else {
    const node = random.pick(core)
    node.signal('SIGSTOP')
    await pause(random.between(100, 1500))
    node.signal('SIGCONT')
  }
}

module.exports = { soak }
