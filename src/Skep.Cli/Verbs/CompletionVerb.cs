using System.CommandLine;

namespace Skep.Cli.Verbs;

/// <summary><c>skep completion</c>: completion of words for a shell.</summary>
internal static class CompletionVerb
{
    // The command itself knows its words: '[suggest:COLUMN] LINE' prints those that fit at a column.
    private const string Bash = """
        _skep() {
            local IFS=$'\n' word="${COMP_WORDS[COMP_CWORD]}"
            COMPREPLY=($(compgen -W "$(skep "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "$word"))
        }
        complete -o default -F _skep skep

        """;

    private const string Zsh = """
        #compdef skep
        _skep() {
            local -a words_found
            words_found=("${(@f)$(skep "[suggest:${CURSOR}]" "${BUFFER}" 2>/dev/null)}")
            compadd -- $words_found
            _files
        }
        compdef _skep skep

        """;

    private const string Fish = """
        complete -c skep -f -a '(set -l line (commandline -cp); skep "[suggest:"(string length -- $line)"]" $line 2>/dev/null)'

        """;

    public static Command Build()
    {
        var shell = new Argument<string>("shell") { Description = "bash, zsh or fish." };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        return new VerbCommand(
            "completion", "Print the completion script of a shell.",
            "source <(skep completion bash)", "skep completion zsh > ~/.zfunc/_skep", "skep completion fish > ~/.config/fish/completions/skep.fish")
        {
            shell,
        }.Runs(result =>
        {
            result.InvocationConfiguration.Output.Write(result.GetValue(shell) switch { "bash" => Bash, "zsh" => Zsh, _ => Fish });
            return ExitCode.Ok;
        });
    }
}
