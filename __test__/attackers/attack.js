'use strict'

const assert = require('node:assert/strict')
const path = require('node:path')
const { Program } = require('../support/process')

const ATTACKS = [
  ...['slowloris', 'connections', 'requests', 'floods', 'lines', 'garbage'],
  ...['future', 'packets', 'replay', 'grafts', 'origins', 'deaf'],
  ...['deep', 'names', 'prototypes'],
]

/** Starts the attack, see program.js, and waits until it is under way. */
async function startAttack(attack, port, victim) {
  const options = JSON.stringify({ victim })
  const attacker = new Program([path.join(__dirname, 'program.js'), attack, String(port), options])
  await attacker.until(() => attacker.out.includes('\n') || attacker.exit, 20000)
  assert.equal(attacker.exit, null, attacker.dump())
  return attacker
}

module.exports = { ATTACKS, startAttack }
