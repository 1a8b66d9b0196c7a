'use strict'

// Another runtime than Node.js: node runtime.js <command that runs a file>. See scripts/test-matrix.js.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')
const { Program } = require('../../support/process')
const { PROGRAM, sees } = require('../program')

const CHAT = path.join(__dirname, 'chat.js')
const runtime = process.argv.slice(2)
assert.notEqual(runtime.length, 0, 'the command is missing')

test('a program gets the expected results', { timeout: 120_000 }, (t) =>
  sees(t, PROGRAM, { runtime }),
)

for (const [name, ofSeed, ofGuest] of [
  ['of a Node.js guest', runtime, undefined],
  ['of a Node.js seed', undefined, runtime],
]) {
  test(`a pipe reaches that ${name}, and comes from there`, { timeout: 120_000 }, async (t) => {
    const seed = chat(t, ofSeed)
    const [, port] = await seed.until(() => /listens at (\d+)/.exec(seed.err), 30_000, 'it listens')
    const guest = chat(t, ofGuest, port)
    const both = [seed, guest]
    for (const one of both) {
      await one.until(() => one.err.includes('connected'), 30_000, 'it is connected')
    }
    const [fromSeed, fromGuest] = [lines('seed'), lines('guest')]
    seed.type(fromSeed)
    guest.type(fromGuest)
    await seed.until(() => seed.out.length >= fromGuest.length, 30_000, 'all lines arrive')
    await guest.until(() => guest.out.length >= fromSeed.length, 30_000, 'all lines arrive')
    for (const one of both) {
      one.child.stdin.end()
      assert.deepEqual(await one.exited(30_000), { code: 0, signal: null }, one.err)
    }
    assert.equal(seed.out, fromGuest)
    assert.equal(guest.out, fromSeed)
  })
}

function chat(t, command, ...args) {
  const program = new Program([CHAT, ...args], { runtime: command })
  t.after(() => program.kill())
  return program
}

/** More than a pipe's buffer. */
function lines(name) {
  return Array.from({ length: 10_000 }, (_, n) => `${name} says line ${n}\n`).join('')
}
