'use strict'

const assert = require('node:assert/strict')
const { randomBytes } = require('node:crypto')
const path = require('node:path')
const { Flock } = require('../support/flock')
const { Program } = require('../support/process')
const { pause } = require('../support/wait')

/**
 * Each attack with its control: what the attacker is to the node besides. A peer costs something, too;
 * an attacker that is thrown out at once is no peer.
 */
const CONTROLS = {
  slowloris: 'no peer',
  connections: 'no peer',
  requests: 'no peer',
  floods: 'legacy peer',
  lines: 'no peer',
  garbage: 'no peer',
  future: 'native peer',
  packets: 'legacy peer',
  replay: 'native peer',
  grafts: 'native peer',
  origins: 'native peer',
  deaf: 'no peer',
  deep: 'no peer',
  names: 'native peer',
  prototypes: 'native peer',
  records: 'native peer',
  crowds: 'native peer',
  letters: 'native peer',
  questions: 'member',
  answers: 'member',
  forgeries: 'native peer',
}
/** What of these attacks a node counts, if they are made as they should be. */
const COUNTED = {
  records: ['recordsRefused'],
  crowds: ['recordsRefused'],
  letters: ['routedLost'],
  questions: ['requestsRefused'],
  answers: ['answersIgnored'],
  forgeries: ['routedForged', 'recordsForged'],
}
/**
 * How long these take until what they cost is what they cost for good, in ms. A peer's first
 * records are taken at once, up to twice `maxMembers`, as those of a large network are.
 */
const STEADY_AFTER = { crowds: 4000 }
/** What is done with the secret of a closed network. */
const INSIDE = new Set(['forgeries'])
const ATTACKS = Object.keys(CONTROLS)

/** Three honest nodes as that attack needs them, and what an attacker must know of their network. */
async function meshFor(attack, t) {
  const secretHex = INSIDE.has(attack) ? randomBytes(32).toString('hex') : undefined
  const flock = await Flock.mesh(t, ['ours', 'ours', 'ours'], { secretHex })
  return { flock, secretHex }
}

/**
 * Starts the attack, or control, see program.js, and waits until it is under way. `burn`: the share
 * of a core that it uses at least; `victim`: the port of somebody else; `secretHex`: the secret of a
 * closed network.
 */
async function startAttack(attack, port, options = {}) {
  const text = JSON.stringify(options)
  const attacker = new Program([path.join(__dirname, 'program.js'), attack, String(port), text])
  await attacker.until(() => attacker.out.includes('\n') || attacker.exit, 20000)
  await pause(STEADY_AFTER[attack] ?? 0)
  assert.equal(attacker.exit, null, attacker.dump())
  return attacker
}

module.exports = { ATTACKS, CONTROLS, COUNTED, meshFor, startAttack }
