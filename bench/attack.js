'use strict'

// What attacks cost the honest: three nodes that speak to each other as fast as they may, and an
// attacker at one of them. On one machine any program takes CPU time from the others, and any peer
// costs something, so the measure is the same network beside a control: a program that is the same to
// the node (no peer, or one of the same kind that just listens) and uses as much CPU time.
//
//   npm run bench:attack -- [--rounds 3] [--messages 150000] [attack …]
//
// In turns, medians of the rounds: messages a second alone, beside the control, and under attack;
// `ratio` is the last by the one before. `cost`: CPU ms of the attacked node per 1 000 messages.

const { parseArgs } = require('node:util')
const { ATTACKS, CONTROLS, meshFor, startAttack } = require('../__test__/attackers/attack')
const { cpuOf, rssOf } = require('../__test__/support/flock')
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
  const { flock, secretHex } = await meshFor(attack)
  const options = { victim, secretHex }
  const [target] = flock.nodes
  const seen = { alone: [], control: [], attack: [] }
  try {
    await flock.exchange(COUNT)
    const memory = rssOf(target.pid)
    let most = memory
    for (let round = 0; round < ROUNDS; round++) {
      seen.alone.push(await measure(flock))
      const attacker = await startAttack(attack, target.port, options)
      const attacked = await measure(flock, attacker)
      most = Math.max(most, rssOf(target.pid))
      await attacker.kill()
      seen.attack.push(attacked)
      await pause(500)
      const burning = { ...options, burn: attacked.share }
      const control = await startAttack(CONTROLS[attack], target.port, burning)
      seen.control.push(await measure(flock, control))
      await control.kill()
      await pause(500)
    }
    flock.assertHealthy()
    const of = (what, name) => median(seen[what].map((entry) => entry[name]))
    return {
      attack,
      alone: Math.round(of('alone', 'rate')),
      'its CPU': of('attack', 'share').toFixed(2),
      'control CPU': of('control', 'share').toFixed(2),
      control: Math.round(of('control', 'rate')),
      attacked: Math.round(of('attack', 'rate')),
      ratio: (of('attack', 'rate') / of('control', 'rate')).toFixed(2),
      'cost alone': of('alone', 'cost').toFixed(2),
      'cost control': of('control', 'cost').toFixed(2),
      'cost attacked': of('attack', 'cost').toFixed(2),
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

main().catch((error) => {
  console.error(error.message)
  process.exitCode = 1
})
