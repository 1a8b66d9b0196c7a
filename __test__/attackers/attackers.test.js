'use strict'

// Hostile programs, one at a time, attack one of three honest nodes. The messages of the honest still
// arrive once and in order, and the attack costs them a bounded amount of memory, descriptors, dials
// and throughput.

const assert = require('node:assert/strict')
const { after, before, describe, test } = require('node:test')
const { cpuOf, descriptorsOf, rssOf } = require('../support/flock')
const { pause, poll } = require('../support/wait')
const { WireServer } = require('../support/wire')
const { ATTACKS, CONTROLS, COUNTED, meshFor, startAttack } = require('./attack')

const MIB = 1 << 20
const COUNT = Number(process.env.MESSAGES ?? 8000)
/** What an attack may make a node hold: caches, queues and what waits for JavaScript, once each. */
const MOST_GROWN = 160 * MIB
/** Sockets of strangers (`maxUnconnected`), and as many again that are being closed, and peers'. */
const MOST_DESCRIPTORS = 2 * 256 + 5
/** The throughput of the honest under attack, by that beside the control. */
const LEAST_RATIO = 0.5
/** JavaScript sees each of these, as it sees any message: they cost what a talkative member costs. */
const LEAST_RATIOS = { questions: 0.25, answers: 0.25 }
/** The median of so many rounds counts: one round is short, and other programs run, too. */
const ROUNDS = 3
const MEASURED = Number(process.env.MEASURED ?? 40_000)

/** The rate of an exchange beside a program, and the share of a core that the program used. */
async function measure(flock, program) {
  const [cpu, began] = [cpuOf(program.pid), Date.now()]
  const rate = await flock.exchange(MEASURED)
  return { rate, share: ((cpuOf(program.pid) - cpu) * 1000) / (Date.now() - began) }
}

/**
 * How fast the honest are under attack, by how fast they are beside a control: a program that uses as
 * much CPU time and is otherwise the same to the node.
 */
async function ratio(flock, attack, options) {
  const [target] = flock.nodes
  const attacker = await startAttack(attack, target.port, options)
  const attacked = await measure(flock, attacker)
  await attacker.kill()
  const burning = { ...options, burn: attacked.share }
  const control = await startAttack(CONTROLS[attack], target.port, burning)
  const { rate } = await measure(flock, control)
  await control.kill()
  return attacked.rate / rate
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]

describe('three honest nodes', { concurrency: false }, () => {
  let victim
  before(async () => {
    victim = await WireServer.listen()
  })
  after(() => victim.close())

  for (const attack of ATTACKS) {
    test(`hear each other once and in order beside the attack "${attack}"`, async (t) => {
      const { flock, secretHex } = await meshFor(attack, t)
      const options = { victim: victim.port, secretHex }
      const [target] = flock.nodes
      const honest = new Set(flock.nodes.map(({ id }) => id))
      // Once to warm up.
      await flock.exchange(COUNT)
      const without = await flock.exchange(COUNT)
      const memory = rssOf(target.pid)
      const descriptors = descriptorsOf(target.pid)
      const dialled = victim.connections.length
      const began = Date.now()

      const attacker = await startAttack(attack, target.port, options)
      t.after(() => attacker.kill())
      let most = descriptors
      const watching = setInterval(() => {
        if (!target.exit) most = Math.max(most, descriptorsOf(target.pid))
      }, 50)
      target.child.once('exit', () => clearInterval(watching))

      // Sending from the start, so that the forgers know whom to forge.
      const beside = await flock.exchange(COUNT)
      await pause(1000)
      const seconds = (Date.now() - began) / 1000
      const stats = await target.command('stats')
      await attacker.kill()
      await flock.exchange(COUNT)

      const grown = rssOf(target.pid) - memory
      const dials = victim.connections.length - dialled
      t.diagnostic(
        `${attack}: ${without.toFixed(0)} messages/s without, ${beside.toFixed(0)} beside it ` +
          `(${(beside / without).toFixed(2)}), ${(grown / MIB).toFixed(1)} MiB, ` +
          `${most - descriptors} descriptors, ${dials} dials at the victim, ` +
          `attacker: ${attacker.out.trim().split('\n').pop()}`,
      )
      clearInterval(watching)
      for (const name of COUNTED[attack] ?? []) assert.ok(stats[name] > 0, name)
      const { count } = JSON.parse(attacker.out.trim().split('\n').pop())
      assert.ok(count > 0 || attack === 'deaf', 'it did attack')
      assert.ok(grown < MOST_GROWN, `${grown / MIB} MiB`)
      assert.ok(most - descriptors <= MOST_DESCRIPTORS, `${most - descriptors} descriptors`)
      // Three nodes; each dials one target at most three times and then every 10 s, and pongs come
      // from the one that is pinged, at most ten at once and then ten a second.
      const bound = 3 * (3 + seconds / 10) + (attack === 'floods' ? 10 + 10 * seconds : 0)
      assert.ok(dials <= bound, `${dials} dials in ${seconds} s`)
      for (const node of flock.nodes) {
        const peers = new Set(await node.command('peers'))
        for (const id of honest) {
          assert.ok(id === node.id || peers.has(id), `${node.name} still has its honest peers`)
        }
      }
      await poll(() => descriptorsOf(target.pid) <= descriptors + 4, 20000, 'sockets are closed')
      const ratios = []
      while (ratios.length < ROUNDS) ratios.push(await ratio(flock, attack, options))
      t.diagnostic(`${attack}: ${ratios.map((n) => n.toFixed(2))} of the control's throughput`)
      assert.ok(
        median(ratios) >= (LEAST_RATIOS[attack] ?? LEAST_RATIO),
        `ratios to the control: ${ratios}`,
      )
      assert.equal(await target.command('polluted'), null, 'nothing reached into its objects')
      flock.assertHealthy()
    })
  }
})
