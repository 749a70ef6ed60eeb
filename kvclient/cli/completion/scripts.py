"""The scripts that bash, zsh and fish take. Each asks kvctl for keys and stores, and knows everything else."""

import shlex
from collections.abc import Callable, Sequence

from kvclient.cli.completion.declared import Words

_BASH = r"""
# Completion of kvctl for bash; `kvctl completion bash` prints it.
_kvctl_words() {
    case "$1" in
@cases@
    esac
}

_kvctl() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$' \t\n' words=() command current previous text kind found each
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local count=${#words[@]}
    current="${words[count - 1]}" previous="${words[count - 2]}" command="${words[1]}"
    COMPREPLY=()
    if ((count > 3)) && [[ $(_kvctl_words "$command") == commands* ]]; then
        command+=" ${words[2]}"
    elif ((count == 2)); then
        command=""
    fi
    for each in "${words[@]:1:count-2}"; do
        [[ $each == -- ]] && { compopt -o default; return; }
    done
    text="$(_kvctl_words "$command")"
    kind="${text%%$'\n'*}"
    IFS=$'\n'
    if [[ $previous == --store ]]; then
        found="$(kvctl _complete stores "$current" 2>/dev/null)"
    elif [[ $current == -* ]]; then
        found="${text#*$'\n\n'}"
    elif [[ $kind == keys ]]; then
        found="$(kvctl _complete keys "$current" "${words[@]}" 2>/dev/null)"
    elif [[ $kind == files ]]; then
        compopt -o default
        return
    else
        found="${text%%$'\n\n'*}" found="${found#"$kind"}"
    fi
    # Of a word with colons, bash replaces what is behind the last one.
    local kept="${current%"${current##*[:=]}"}"
    [[ $COMP_WORDBREAKS == *:* ]] || kept=""
    for each in $found; do
        [[ $each == "$current"* ]] && COMPREPLY+=("$(printf %q "${each#"$kept"}")")
    done
}

complete -F _kvctl kvctl
"""

_ZSH = r"""
#compdef kvctl
# Completion of kvctl for zsh; `kvctl completion zsh` prints it.
_kvctl_words() {
    case "$1" in
@cases@
    esac
}

_kvctl() {
    local command="${words[2]}" current="${(Q)words[CURRENT]}" previous="${words[CURRENT-1]}" text kind
    local -a parts found
    if ((CURRENT > 3)) && [[ "$(_kvctl_words "$command")" == commands* ]]; then
        command+=" ${words[3]}"
    elif ((CURRENT == 2)); then
        command=""
    fi
    if ((${words[(i)--]} < CURRENT)); then
        _normal -p kvctl
        return
    fi
    text="$(_kvctl_words "$command")"
    kind="${text%%$'\n'*}"
    if [[ $previous == --store ]]; then
        found=("${(@f)$(kvctl _complete stores "$current" 2>/dev/null)}")
    elif [[ $current == -* ]]; then
        found=("${(@f)${text#*$'\n\n'}}")
    elif [[ $kind == keys ]]; then
        found=("${(@f)$(kvctl _complete keys "$current" "${(@Q)words}" 2>/dev/null)}")
    elif [[ $kind == files ]]; then
        _files
        return
    else
        text="${text%%$'\n\n'*}"
        found=("${(@f)${text#"$kind"}}")
    fi
    found=(${found:#})
    compadd -- $found
}

if [[ "$funcstack[1]" == _kvctl ]]; then
    _kvctl "$@"
else
    compdef _kvctl kvctl
fi
"""

_FISH = r"""
# Completion of kvctl for fish; `kvctl completion fish` prints it.
function __kvctl_at
    set -l words (commandline -opc)
    set -l last (math (count $argv) + 1)
    test (count $words) -ge $last; or return 1
    test "$words[2..$last]" = "$argv"
end

function __kvctl_first
    test (count (commandline -opc)) -eq (math (count $argv) + 1)
end

complete -c kvctl -f
complete -c kvctl -l store -x -a '(kvctl _complete stores (commandline -ct) 2>/dev/null)'
complete -c kvctl -n __kvctl_first -l version
"""


def bash(commands: Sequence[Words]) -> str:
    """Return the script for bash."""
    return _BASH.lstrip().replace("@cases@", _cases(commands))


def zsh(commands: Sequence[Words]) -> str:
    """Return the script for zsh."""
    return _ZSH.lstrip().replace("@cases@", _cases(commands))


def fish(commands: Sequence[Words]) -> str:
    """Return the script for fish."""
    lines = [_FISH.lstrip()]
    for words in commands:
        first, _, second = words.name.partition(" ")
        name, under = (second, f"__kvctl_at {first}; and __kvctl_first {first}") if second else (first, "__kvctl_first")
        lines.append(f"complete -c kvctl -n '{under}' -a {name} -d {_quoted_for_fish(words.summary)}")
        here = f"__kvctl_at {words.name}"
        lines += [f"complete -c kvctl -n '{here}' -l {option[2:]}" for option in words.options if option != "--store"]
        if words.kind == "keys":
            asked = "(kvctl _complete keys (commandline -ct) (commandline -opc) 2>/dev/null)"
            lines.append(f"complete -c kvctl -n '{here}' -a '{asked}'")
        elif words.kind == "files":
            lines.append(f"complete -c kvctl -n '{here}' -F")
        elif words.kind == "shells":
            lines.append(f"complete -c kvctl -n '{here}' -a '{' '.join(SHELLS)}'")
    return "\n".join(lines) + "\n"


SHELLS: dict[str, Callable[[Sequence[Words]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
"""The script for each shell."""


def _cases(commands: Sequence[Words]) -> str:
    """Return a case for each command: the kind of its arguments, their words if they are fixed, a gap, its options."""
    top = [words.name for words in commands if " " not in words.name]
    cases = [_case("", "", top, ("--version", "--install-completion", "--help"))]
    for words in commands:
        below = [each.name.split()[1] for each in commands if each.name.startswith(f"{words.name} ")]
        fixed = list(SHELLS) if words.kind == "shells" else below
        cases.append(_case(words.name, words.kind, fixed, words.options))
    return "\n".join(cases)


def _case(name: str, kind: str, words: Sequence[str], options: Sequence[str]) -> str:
    shown = "\n".join([kind, *words, "", *options])
    return f"        {shlex.quote(name)}) printf '%s\\n' {shlex.quote(shown)} ;;"


def _quoted_for_fish(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
