'use strict'

/** For webpack: an addon stays where it is. */
module.exports = function load() {
  return `module.exports = __non_webpack_require__(${JSON.stringify(this.resourcePath)})`
}
module.exports.raw = true
