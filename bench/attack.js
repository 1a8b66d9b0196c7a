'use strict'

// What attacks cost the honest: three nodes that speak to each other as fast as they may, and an
// attacker at one of them. An attacker on the same machine takes CPU time from everybody even if
// nobody listens to it, so the measure is the same network beside a program that burns as much.
//
//   npm run bench:attack -- [--rounds 3] [--messages 150000] [attack …]
//
// In turns, medians of the rounds: messages a second without anything, beside a burner, and under
// attack; `ratio` is the last by the one before. CPU of the attacked node per 1 000 messages.

const path = require('node:path')
const { parseArgs } = require('node:util')
const { ATTACKS, startAttack } = require('../__test__/attackers/attack')
const { Flock, cpuOf, rssOf } = require('../__test__/support/flock')
const { Program } = require('../__test__/support/process')
const { WireServer } = require('../__test__/support/wire')
const { pause } = require('../__test__/support/wait')

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    messages: { type: 'string', default: '150000' },
  },
  allowPositionals: true,
})
const ROUNDS = Number(values.rounds)
const COUNT = Number(values.messages)
const MIB = 1 << 20

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

/** One exchange beside `other`: its rate, the target's CPU per 1 000 messages, `other`'s share. */
async function measure(flock, other) {
  const [target] = flock.nodes
  const [targetCpu, otherCpu] = [cpuOf(target.pid), other && cpuOf(other.pid)]
  const began = Date.now()
  const rate = await flock.exchange(COUNT)
  const seconds = (Date.now() - began) / 1000
  return {
    rate,
    cost: ((cpuOf(target.pid) - targetCpu) * 1e6) / (flock.nodes.length * COUNT),
    share: other ? (cpuOf(other.pid) - otherCpu) / seconds : 0,
  }
}

async function bench(attack, victim) {
  const flock = await Flock.mesh(null, ['ours', 'ours', 'ours'])
  const [target] = flock.nodes
  const seen = { without: [], burner: [], with: [] }
  try {
    await flock.exchange(COUNT)
    const memory = rssOf(target.pid)
    let most = memory
    for (let round = 0; round < ROUNDS; round++) {
      seen.without.push(await measure(flock))
      const attacker = await startAttack(attack, target.port, victim)
      const attacked = await measure(flock, attacker)
      most = Math.max(most, rssOf(target.pid))
      await attacker.kill()
      seen.with.push(attacked)
      await pause(500)
      const burner = new Program([path.join(__dirname, 'burner.js'), String(attacked.share)])
      await pause(500)
      seen.burner.push(await measure(flock, burner))
      await burner.kill()
    }
    flock.assertHealthy()
    const of = (what, name) => median(seen[what].map((entry) => entry[name]))
    return {
      attack,
      without: Math.round(of('without', 'rate')),
      'attacker CPU': of('with', 'share').toFixed(2),
      'burner CPU': of('burner', 'share').toFixed(2),
      'beside burner': Math.round(of('burner', 'rate')),
      'under attack': Math.round(of('with', 'rate')),
      ratio: (of('with', 'rate') / of('burner', 'rate')).toFixed(2),
      'CPU ms without': of('without', 'cost').toFixed(2),
      'under it': of('with', 'cost').toFixed(2),
      MiB: ((most - memory) / MIB).toFixed(0),
    }
  } finally {
    await flock.end()
  }
}

async function main() {
  const victim = await WireServer.listen()
  const rows = []
  for (const attack of positionals.length > 0 ? positionals : ATTACKS) {
    rows.push(await bench(attack, victim.port))
    const [row] = rows.slice(-1)
    if (rows.length === 1) console.log(Object.keys(row).join('\t'))
    console.log(Object.values(row).join('\t'))
  }
  await victim.close()
}

main()
