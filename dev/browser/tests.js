// All tests, in one process and one after the other: they share one product, whose faults meet whoever buys next.

import "./story.test.js";
import "./access.test.js";
import "./faults.test.js";
import "./clients.test.js";
import "./accessibility.test.js";
import "./pictures.test.js";
