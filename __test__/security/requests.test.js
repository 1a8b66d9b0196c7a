'use strict'

// A member that floods others with requests, or with answers that nobody asked for.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { startAttack } = require('../attackers/attack')
const { startNetwork } = require('../support/nodes')
const { poll } = require('../support/wait')

const MIB = 1 << 20
const COUNT = 2000

for (const [attack, counter] of [
  ['questions', 'requestsRefused'],
  ['answers', 'answersIgnored'],
]) {
  test(`requests of others are answered beside a flood of ${attack}, and little is kept`, async (t) => {
    const [a, b] = await startNetwork(t, 2)
    await Promise.all([a, b].map((node) => node.ready()))
    b.handle('double', (_, n) => 2 * n)
    a.handle('never', () => assert.fail('it was called'))
    const memory = process.memoryUsage.rss()
    const attacker = await startAttack(attack, a.options.port)
    t.after(() => attacker.kill())
    await poll(() => a.stats()[counter] > 1000, 20_000, 'the flood is there')
    for (let n = 0; n < COUNT; n += 20) {
      const asked = Array.from({ length: 20 }, (_, more) => n + more).map((number) => {
        return a.to(b.id).timeout(20_000).emitWithAck('double', number)
      })
      const answers = await Promise.all(asked)
      assert.deepEqual(
        answers,
        answers.map((_, more) => 2 * (n + more)),
      )
    }
    const grown = (process.memoryUsage.rss() - memory) / MIB
    assert.ok(grown < 200, `${grown} MiB`)
    assert.equal(attacker.exit, null, attacker.dump())
    t.diagnostic(`${a.stats()[counter]} of the flood, ${grown.toFixed(1)} MiB`)
  })
}
