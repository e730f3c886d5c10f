using System.CommandLine;
using Skep.Cli.Lab;

return await new RootCommand("skep") { LabCommand.Create() }.Parse(args).InvokeAsync();
