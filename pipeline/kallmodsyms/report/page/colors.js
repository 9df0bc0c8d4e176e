"use strict";

/*
 * Colours of modules, after Okabe and Ito: people who see red and green alike tell them apart. The largest modules have
 * one each, the others one together, and what is of no object is grey with a pattern.
 */

const HUES = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"];
const KIND_LABELS = ["padding", "made by the linker", "linker script", "unattributed"];

class Colors {
	constructor(kernel) {
		const {labels, owners} = kernel.groups.module;
		const bytes = new Float64Array(labels.length);
		for (let span = 0; span < kernel.count; span++)
			bytes[owners[kernel.owner[span]]] += kernel.bytes_of[span];
		const plain = new Set([...KIND_LABELS, "no module"]);
		const modules = [...labels.keys()].filter((module) => !plain.has(labels[module]));
		modules.sort((a, b) => bytes[b] - bytes[a]);
		this.legend = modules.slice(0, HUES.length).map((module) => ({module, label: labels[module]}));
		this.otherCount = Math.max(0, modules.length - HUES.length);
		this.count = new Set(modules.flatMap((module) => labels[module].split(" "))).size;
		/* classes: of each module, the number of its colour */
		this.names = [...this.legend.map((one) => one.label), "other modules", "no module", ...KIND_LABELS];
		this.classes = labels.map((label, module) => {
			const own = this.legend.findIndex((one) => one.module === module);
			if (own >= 0)
				return own;
			const known = this.names.indexOf(label, this.legend.length + 1);
			return known >= 0 ? known : this.legend.length;
		});
		this.read();
	}

	/* The colours of the theme that is shown. */
	read() {
		const style = getComputedStyle(document.documentElement);
		const variable = (name) => style.getPropertyValue(name).trim();
		this.mixed = variable("--mixed");
		this.line = variable("--surface");
		this.ink = variable("--ink");
		this.accent = variable("--focus");
		this.values = [
			...this.legend.map((_, at) => HUES[at]),
			variable("--other"),
			variable("--plain"),
			variable("--padding"),
			variable("--linker"),
			variable("--script"),
			variable("--unknown"),
		];
	}

	/* The colour of a node of the tree; of one with several modules a neutral one. */
	of(module) {
		return module < 0 ? this.mixed : this.values[this.classes[module]];
	}

	/* Whether a module's bytes are of no object, which is shown by stripes. */
	striped(module) {
		return module >= 0 && this.classes[module] > this.legend.length + 1;
	}
}

/* [red, green, blue] of #rrggbb */
function channels(color) {
	const value = parseInt(color.slice(1), 16);
	return [value >> 16, (value >> 8) & 255, value & 255];
}

/* Black or white, whichever is read more easily on a colour (WCAG 2.1, relative luminance). */
function inkOn(color) {
	const [red, green, blue] = channels(color).map((value) => {
		const part = value / 255;
		return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
	});
	return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}
