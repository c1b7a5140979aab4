#include "otoroshictl/cli/completions.h"

#include <string.h>

#include "otoroshictl/cli/option_table.h"
#include "otoroshictl/cli/values.h"

/* A script in the making. */
struct script {
    FILE *out;
    const struct command *commands;
    size_t count;
};

/* What a shell offers after an option. */
enum offer {
    OFFER_NOTHING,
    OFFER_FILES,
    OFFER_CHOICES,
    OFFER_OPTIONS, /* a flag: the next option */
};

static enum offer offer_of(const struct option_row *row)
{
    if (!option_takes_value(row))
        return OFFER_OPTIONS;
    if (row->type == VALUE_FILE)
        return OFFER_FILES;
    return value_choices(row->type) != NULL ? OFFER_CHOICES : OFFER_NOTHING;
}

/* `text` with a backslash before each of `special`, and ' as a shell's '..' has it. */
static void print_escaped(FILE *out, const char *text, const char *special, const char *quote)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            fputs(quote, out);
            continue;
        }
        if (strchr(special, *text) != NULL)
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void print_command_words(const struct script *script)
{
    for (size_t i = 0; i < script->count; i++) {
        fprintf(script->out, "%s%s", i > 0 ? " " : "", script->commands[i].name);
        if (script->commands[i].alias != NULL)
            fprintf(script->out, " %s", script->commands[i].alias);
    }
}

/* `name`, or `name|alias` for a shell's case. */
static void print_pattern(FILE *out, const struct command *command)
{
    fputs(command->name, out);
    if (command->alias != NULL)
        fprintf(out, "|%s", command->alias);
}

/* ---- bash ---- */

static void bash_print_option_words(FILE *out, enum tunnel_kind kind)
{
    const char *separator = "";

    for (size_t i = 0; i < option_table_count; i++) {
        const struct option_row *row = &option_table[i];

        if (!option_has_kind(row, kind))
            continue;
        fprintf(out, "%s--%s", separator, row->name);
        separator = " ";
        if (row->letter != 0)
            fprintf(out, " -%c", row->letter);
    }
}

/* The case of every option of `kind` after which `offer` is offered. */
static void bash_print_case(FILE *out, enum tunnel_kind kind, enum offer offer, const char *body)
{
    const char *separator = "        ";

    for (size_t i = 0; i < option_table_count; i++) {
        const struct option_row *row = &option_table[i];

        if (!option_has_kind(row, kind) || offer_of(row) != offer)
            continue;
        fprintf(out, "%s--%s", separator, row->name);
        separator = "|";
    }
    fprintf(out, ")\n            %s ;;\n", body);
}

/* Each option of choices has words of its own. */
static void bash_print_choices(FILE *out, enum tunnel_kind kind)
{
    for (size_t i = 0; i < option_table_count; i++) {
        const struct option_row *row = &option_table[i];

        if (option_has_kind(row, kind) && offer_of(row) == OFFER_CHOICES)
            fprintf(out, "        --%s)\n            words='%s' ;;\n", row->name,
                    value_choices(row->type));
    }
}

static void bash_print_command(const struct script *script, const struct command *command)
{
    FILE *out = script->out;

    fputs("    ", out);
    print_pattern(out, command);
    fputs(")\n", out);
    if (command->argument == ARGUMENT_TUNNEL_OPTIONS) {
        fputs("        case $previous in\n", out);
        bash_print_case(out, command->tunnel_kind, OFFER_FILES, "files=1");
        bash_print_choices(out, command->tunnel_kind);
        bash_print_case(out, command->tunnel_kind, OFFER_NOTHING, "");
        fputs("        *)\n            words='", out);
        bash_print_option_words(out, command->tunnel_kind);
        fputs("' ;;\n        esac ;;\n", out);
        return;
    }
    fputs("        words='-h --help ", out);
    if (command->argument == ARGUMENT_SHELL)
        fputs(completions_shells(), out);
    else
        print_command_words(script);
    fputs("' ;;\n", out);
}

static void bash_print(const struct script *script)
{
    fputs("# bash completion of otoroshictl; made by `otoroshictl completions bash`\n"
          "_otoroshictl()\n"
          "{\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local command=${COMP_WORDS[1]} words='' files=''\n"
          "\n"
          "    # Bash cuts --option=value into three words.\n"
          "    if [[ $current == '=' ]]; then\n"
          "        current=''\n"
          "    elif [[ $previous == '=' ]]; then\n"
          "        previous=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    fi\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        command=''\n"
          "        words='-h --help -V --version ",
          script->out);
    print_command_words(script);
    fputs("'\n"
          "    fi\n"
          "    case $command in\n",
          script->out);
    for (size_t i = 0; i < script->count; i++)
        bash_print_command(script, &script->commands[i]);
    fputs("    esac\n"
          "    if [[ -n $files ]]; then\n"
          "        compopt -o filenames 2>/dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
          "    else\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
          "    fi\n"
          "}\n"
          "complete -F _otoroshictl otoroshictl\n",
          script->out);
}

/* ---- zsh ---- */

static void zsh_print_text(FILE *out, const char *text)
{
    print_escaped(out, text, "[]:\\", "'\\''");
}

/* One argument of _arguments: '--name=[help]:VALUE:action'. */
static void zsh_print_option(FILE *out, const struct option_row *row)
{
    struct option_label label;

    fputs(" \\\n            ", out);
    if (row->letter != 0)
        fprintf(out, "'(-%c --%s)'{-%c,--%s}'[", row->letter, row->name, row->letter, row->name);
    else
        fprintf(out, "'%s--%s%s[", (row->traits & OPTION_REPEATABLE) != 0 ? "*" : "", row->name,
                option_takes_value(row) ? "=" : "");
    zsh_print_text(out, row->help);
    fputc(']', out);
    if (option_takes_value(row))
        fprintf(out, ":%s:", option_value_name(&label, row));
    if (offer_of(row) == OFFER_FILES)
        fputs("_files", out);
    else if (offer_of(row) == OFFER_CHOICES)
        fprintf(out, "(%s)", value_choices(row->type));
    else if (offer_of(row) == OFFER_NOTHING)
        fputc(' ', out);
    fputc('\'', out);
}

static void zsh_print_command(const struct script *script, const struct command *command)
{
    FILE *out = script->out;

    fputs("        ", out);
    print_pattern(out, command);
    fputs(")\n            _arguments -s", out);
    if (command->argument == ARGUMENT_TUNNEL_OPTIONS) {
        for (size_t i = 0; i < option_table_count; i++) {
            if (option_has_kind(&option_table[i], command->tunnel_kind))
                zsh_print_option(out, &option_table[i]);
        }
        fputs(" ;;\n", out);
        return;
    }
    fputs(" '(- *)'{-h,--help}'[Print help]' '1:argument:(", out);
    if (command->argument == ARGUMENT_SHELL)
        fputs(completions_shells(), out);
    else
        print_command_words(script);
    fputs(")' ;;\n", out);
}

static void zsh_print_summaries(const struct script *script)
{
    for (size_t i = 0; i < script->count; i++) {
        const struct command *command = &script->commands[i];

        fprintf(script->out, "        '%s:", command->name);
        zsh_print_text(script->out, command->summary);
        fputs("'\n", script->out);
    }
}

static void zsh_print(const struct script *script)
{
    fputs("#compdef otoroshictl\n"
          "# zsh completion of otoroshictl; made by `otoroshictl completions zsh`\n"
          "_otoroshictl() {\n"
          "    local context state state_descr line\n"
          "    typeset -A opt_args\n"
          "    local -a commands\n"
          "    commands=(\n",
          script->out);
    zsh_print_summaries(script);
    fputs("    )\n"
          "    _arguments -C \\\n"
          "        '(- *)'{-h,--help}'[Print help]' \\\n"
          "        '(- *)'{-V,--version}'[Print version]' \\\n"
          "        '1:command:->command' \\\n"
          "        '*::argument:->argument'\n"
          "    case $state in\n"
          "    command)\n"
          "        _describe -t commands command commands ;;\n"
          "    argument)\n"
          "        case $line[1] in\n",
          script->out);
    for (size_t i = 0; i < script->count; i++)
        zsh_print_command(script, &script->commands[i]);
    fputs("        esac ;;\n"
          "    esac\n"
          "}\n"
          "# Works both from a folder of $fpath and when sourced.\n"
          "if [[ $funcstack[1] == _otoroshictl ]]; then\n"
          "    _otoroshictl \"$@\"\n"
          "else\n"
          "    compdef _otoroshictl otoroshictl\n"
          "fi\n",
          script->out);
}

/* ---- fish ---- */

static void fish_print_text(FILE *out, const char *text)
{
    fputc('\'', out);
    print_escaped(out, text, "\\", "\\'");
    fputc('\'', out);
}

static void fish_print_condition(FILE *out, const struct command *command)
{
    fprintf(out, "complete -c otoroshictl -n '__fish_seen_subcommand_from %s%s%s'", command->name,
            command->alias != NULL ? " " : "", command->alias != NULL ? command->alias : "");
}

static void fish_print_option(FILE *out, const struct command *command,
                              const struct option_row *row)
{
    fish_print_condition(out, command);
    fprintf(out, " -l %s", row->name);
    if (row->letter != 0)
        fprintf(out, " -s %c", row->letter);
    switch (offer_of(row)) {
    case OFFER_FILES:
        fputs(" -r -F", out);
        break;
    case OFFER_CHOICES:
        fprintf(out, " -x -a '%s'", value_choices(row->type));
        break;
    case OFFER_NOTHING:
        fputs(" -x", out);
        break;
    case OFFER_OPTIONS:
        break;
    }
    fputs(" -d ", out);
    fish_print_text(out, row->help);
    fputc('\n', out);
}

static void fish_print_arguments(const struct script *script, const struct command *command)
{
    fish_print_condition(script->out, command);
    fputs(" -s h -l help -d 'Print help'\n", script->out);
    fish_print_condition(script->out, command);
    fputs(" -a '", script->out);
    if (command->argument == ARGUMENT_SHELL)
        fputs(completions_shells(), script->out);
    else
        print_command_words(script);
    fputs("'\n", script->out);
}

static void fish_print_command(const struct script *script, const struct command *command)
{
    fprintf(script->out, "complete -c otoroshictl -n __fish_use_subcommand -a %s -d ",
            command->name);
    fish_print_text(script->out, command->summary);
    fputc('\n', script->out);
    if (command->argument != ARGUMENT_TUNNEL_OPTIONS) {
        fish_print_arguments(script, command);
        return;
    }
    for (size_t i = 0; i < option_table_count; i++) {
        if (option_has_kind(&option_table[i], command->tunnel_kind))
            fish_print_option(script->out, command, &option_table[i]);
    }
}

static void fish_print(const struct script *script)
{
    fputs("# fish completion of otoroshictl; made by `otoroshictl completions fish`\n"
          "complete -c otoroshictl -f\n"
          "complete -c otoroshictl -n __fish_use_subcommand -s h -l help -d 'Print help'\n"
          "complete -c otoroshictl -n __fish_use_subcommand -s V -l version -d 'Print version'\n",
          script->out);
    for (size_t i = 0; i < script->count; i++)
        fish_print_command(script, &script->commands[i]);
}

struct shell {
    const char *name;
    void (*print)(const struct script *script);
};

static const struct shell shells[] = {
    {"bash", bash_print},
    {"zsh", zsh_print},
    {"fish", fish_print},
};

const char *completions_shells(void)
{
    return "bash zsh fish";
}

bool completions_print(FILE *out, const char *shell, const struct command *commands, size_t count)
{
    const struct script script = {.out = out, .commands = commands, .count = count};

    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(shell, shells[i].name) == 0) {
            shells[i].print(&script);
            return true;
        }
    }
    return false;
}
