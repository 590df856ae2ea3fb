// Only adds: every page works without this file.
'use strict';
(() => {
	const $ = (s, at = document) => at.querySelector(s);
	const all = (s, at = document) => [...at.querySelectorAll(s)];

	// The error summary, or a notice, takes the focus; its links reach the field.
	const first = $('[data-focus]');
	if (first) first.focus();
	all('.summary a').forEach((a) => a.addEventListener('click', (e) => {
		const field = document.getElementById(a.hash.slice(1));
		if (field) { e.preventDefault(); field.focus(); }
	}));

	// One click sends a form once; coming back by the history wakes it up again.
	const forms = all('form[data-once]');
	forms.forEach((f) => f.addEventListener('submit', (e) => {
		const waits = $('[aria-disabled=true]', f);
		if (f.dataset.sent || waits) { e.preventDefault(); return; }
		f.dataset.sent = '1';
		if (e.submitter) e.submitter.dataset.busy = '1';
	}));
	addEventListener('pageshow', () => forms.forEach((f) => {
		delete f.dataset.sent;
		all('[data-busy]', f).forEach((b) => delete b.dataset.busy);
	}));

	// The wait until one may ask again.
	const again = $('[data-again]');
	if (again) {
		const from = again.dataset.again, words = again.textContent, button = $('button', again.closest('form'));
		const end = performance.now() + from * 1000;
		button.setAttribute('aria-disabled', 'true');
		const timer = setInterval(() => {
			const left = Math.ceil((end - performance.now()) / 1000);
			if (left > 0) { again.textContent = words.replace(from, left); return; }
			clearInterval(timer);
			again.textContent = again.dataset.now;
			again.setAttribute('role', 'status');
			button.removeAttribute('aria-disabled');
		}, 500);
	}

	const password = $('#newPassword');
	if (!password) return;

	// Show and hide.
	const show = $('.show'), say = $('[data-say]');
	show.hidden = false;
	const reveal = (on) => {
		password.type = on ? 'text' : 'password';
		show.textContent = on ? show.dataset.hide : show.dataset.show;
		show.setAttribute('aria-label', on ? show.dataset.hideLabel : show.dataset.showLabel);
	};
	show.addEventListener('click', () => {
		const on = password.type === 'password';
		reveal(on);
		say.textContent = on ? show.dataset.shown : show.dataset.hidden;
		password.focus();
	});
	password.form.addEventListener('submit', () => reveal(false)); // so that no browser keeps it as a text

	// Rules: what can be counted is counted here, the rest is judged by the service.
	const list = $('.rules ul'), strength = $('#strength');
	const counted = {
		too_short: (p) => [...p].length >= +password.dataset.min,
		missing_uppercase: (p) => /\p{Lu}/u.test(p),
		missing_lowercase: (p) => /\p{Ll}/u.test(p),
		missing_digit: (p) => /\p{Nd}/u.test(p),
		missing_symbol: (p) => /[^\p{L}\p{N}\s]/u.test(p),
	};
	const tick = (li, met) => {
		li.classList.toggle('met', met);
		$('[data-state]', li).textContent = ' (' + (met ? list.dataset.met : list.dataset.unmet) + ')';
	};
	const url = password.form.dataset.check;
	let timer, asked = 0;
	const ask = async () => {
		const mine = ++asked, body = new URLSearchParams({ form: password.form.elements.form.value, password: password.value });
		try {
			const r = await fetch(url, { method: 'POST', body, cache: 'no-store' });
			if (!r.ok || mine !== asked) return;
			const v = await r.json();
			strength.hidden = false;
			strength.dataset.score = v.score;
			$('b', strength).textContent = v.word;
			const short = v.failed.includes('too_short'); // then nothing else was judged yet
			all('li', list).forEach((li) => {
				const rule = li.dataset.rule;
				tick(li, !v.failed.includes(rule) && !(short && !counted[rule]) && !(rule === 'too_common' && v.failed.includes('breached')));
			});
		} catch { /* the form itself will tell */ }
	};
	password.addEventListener('input', () => {
		const p = password.value;
		clearTimeout(timer);
		asked++;
		all('li', list).forEach((li) => {
			const test = counted[li.dataset.rule];
			if (test) tick(li, test(p)); else if (!p) tick(li, false);
		});
		if (!p) { strength.hidden = true; return; }
		if (url) timer = setTimeout(ask, 300);
	});
})();
