'use strict'

const assert = require('node:assert/strict')
const path = require('node:path')
const { Program } = require('../support/process')

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
}
const ATTACKS = Object.keys(CONTROLS)

/**
 * Starts the attack, or control, see program.js, and waits until it is under way. It uses the share
 * `burn` of a core at least.
 */
async function startAttack(attack, port, victim, burn = 0) {
  const options = JSON.stringify({ victim, burn })
  const attacker = new Program([path.join(__dirname, 'program.js'), attack, String(port), options])
  await attacker.until(() => attacker.out.includes('\n') || attacker.exit, 20000)
  assert.equal(attacker.exit, null, attacker.dump())
  return attacker
}

module.exports = { ATTACKS, CONTROLS, startAttack }
