'use strict'
// A node:test reporter that says only how many tests there were, for a summary.

module.exports = async function* countReporter(source) {
  const count = { passed: 0, failed: 0, skipped: 0 }
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details?.type === 'suite' || isFile(data)) continue
    if (data.skip !== undefined || data.todo !== undefined) count.skipped += 1
    else if (type === 'test:pass') count.passed += 1
    else count.failed += 1
  }
  const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : ''
  yield `${count.passed} passed, ${count.failed} failed${skipped}`
}

/** Node 20 reports each file as a test of its own, named by its path. */
function isFile({ name, file, nesting }) {
  return nesting === 0 && file !== undefined && file.endsWith(name)
}
