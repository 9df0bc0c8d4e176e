"use strict";

/* A field with suggestions (the combobox of WAI-ARIA 1.2): a text enters; what is called so leaves. */

const SUGGESTIONS = 40;

/* The best places for a text: {kind, label, more, key}; whole names first, then beginnings, then what has it inside. */
function suggestions(kernel, text) {
	const wanted = text.trim().toLowerCase();
	if (!wanted)
		return [];
	const ranks = [[], [], []];
	const full = () => ranks[0].length + ranks[1].length >= SUGGESTIONS;
	const offer = (label, make) => {
		const at = label.toLowerCase().indexOf(wanted);
		if (at < 0)
			return;
		const rank = ranks[label.length === wanted.length ? 0 : at === 0 ? 1 : 2];
		if (rank.length < SUGGESTIONS)
			rank.push(make());
	};
	kernel.groups.module.labels.forEach((label, key) => offer(label, () => ({kind: "module", label, key, more: ""})));
	kernel.sections.forEach((section, key) =>
		offer(section.name, () => ({kind: "section", label: section.name, key, more: ""})));
	kernel.groups.object.labels.forEach((label, key) => offer(label, () => ({kind: "object", label, key, more: ""})));
	for (let span = 0; span < kernel.count && !full(); span++) {
		if (kernel.name[span]) {
			offer(kernel.label(span), () => {
				const more = `${kernel.called("module", span)}, ${kernel.hex(kernel.address(span))}`;
				return {kind: "symbol", label: kernel.label(span), key: span, more};
			});
		}
	}
	return ranks.flat().slice(0, SUGGESTIONS);
}

class Search {
	constructor(field, list, kernel, onChoose) {
		this.field = field;
		this.list = list;
		this.kernel = kernel;
		this.onChoose = onChoose;
		this.found = [];
		this.current = -1;
		field.addEventListener("input", () => this._suggest());
		field.addEventListener("keydown", (event) => this._key(event));
		field.addEventListener("blur", () => this._close());
	}

	_suggest() {
		this.found = suggestions(this.kernel, this.field.value);
		this.current = -1;
		this.list.replaceChildren(...this.found.map((one, at) => {
			const words = [
				made("b", {textContent: one.label}),
				made("span", {textContent: ` ${one.kind}${one.more ? `, ${one.more}` : ""}`}),
			];
			const option = made("li", {id: `hit-${at}`}, words);
			option.setAttribute("role", "option");
			option.addEventListener("mousedown", () => this._choose(at));
			return option;
		}));
		if (this.field.value.trim() && !this.found.length)
			this.list.replaceChildren(made("li", {textContent: "nothing is called so", className: "none"}));
		this.list.hidden = !this.field.value.trim();
		this.field.setAttribute("aria-expanded", String(!this.list.hidden));
	}

	_key(event) {
		if (event.key === "ArrowDown" || event.key === "ArrowUp") {
			const step = event.key === "ArrowDown" ? 1 : -1;
			this._mark((this.current + step + this.found.length) % Math.max(1, this.found.length));
		} else if (event.key === "Enter") {
			this._choose(Math.max(0, this.current));
		} else if (event.key === "Escape") {
			this._close();
		} else {
			return;
		}
		event.preventDefault();
	}

	_mark(which) {
		this.current = which;
		[...this.list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === which)));
		this.list.children[which]?.scrollIntoView({block: "nearest"});
		this.field.setAttribute("aria-activedescendant", `hit-${which}`);
	}

	_choose(which) {
		const one = this.found[which];
		if (!one)
			return;
		this._close();
		this.onChoose(one);
	}

	_close() {
		this.list.hidden = true;
		this.field.setAttribute("aria-expanded", "false");
		this.field.removeAttribute("aria-activedescendant");
	}
}
