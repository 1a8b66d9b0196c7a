'use strict'
// Runs named steps one after the other and ends with a table of how each went.

const { run } = require('./run')

/**
 * Each step is `{name, argv}` or `{name, skip: why}`; one with `needed: true` ends the run when
 * it fails, since what follows depends on it. Resolves to the exit code of the first failure.
 */
async function runSteps(title, steps) {
  const results = []
  let exitCode = 0
  for (const step of steps) {
    if (step.skip) {
      results.push({ name: step.name, outcome: `skipped: ${step.skip}` })
      continue
    }
    console.log(`\n── ${title}: ${step.name}`)
    const started = Date.now()
    const code = await run(step.argv, step.options)
    const seconds = ((Date.now() - started) / 1000).toFixed(1)
    const details = step.details?.() ?? ''
    const outcome = code === 0 ? 'ok' : `FAILED (exit code ${code})`
    results.push({ name: step.name, outcome, seconds, details })
    exitCode ||= code
    if (code !== 0 && step.needed) break
  }
  console.log(`\n── ${title}: summary`)
  const width = Math.max(...results.map(({ name }) => name.length))
  for (const { name, outcome, seconds = '', details = '' } of results) {
    const time = seconds && `${seconds} s`
    console.log(`${name.padEnd(width)}  ${time.padStart(8)}  ${outcome}  ${details}`.trimEnd())
  }
  const left = steps.length - results.length
  if (left > 0) console.log(`${left} further steps were not run`)
  return exitCode
}

module.exports = { runSteps }
