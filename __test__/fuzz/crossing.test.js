'use strict'

// Random damage for FUZZ_SECONDS (2); SEED repeats a run. Part of `npm run fuzz`, not of `npm test`.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { fuzzCrossing } = require('../support/crossing')
const { seedOf, seeded } = require('../support/flock')

test('damaged events are heard exactly as JSON.parse reads them', async (t) => {
  const end = Date.now() + Number(process.env.FUZZ_SECONDS ?? 2) * 1000
  const messages = await fuzzCrossing(t, seeded(seedOf(t)), () => Date.now() < end)
  t.diagnostic(`${messages} messages`)
  assert.ok(messages > 0)
})
