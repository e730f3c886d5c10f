using Skep.Cli;

return await SkepCommand.RunAsync(args);
