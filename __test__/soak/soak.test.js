'use strict'

const { test } = require('node:test')
const { seedOf } = require('../support/flock')
const { soak } = require('./soak')

test('eight nodes with churn: every message arrives once and in order, and nothing grows', async (t) => {
  const minutes = Number(process.env.SOAK_MINUTES ?? (process.env.CI ? 2 : 0.5))
  const summary = await soak({ minutes, seed: seedOf(t) })
  t.diagnostic(JSON.stringify(summary))
})
