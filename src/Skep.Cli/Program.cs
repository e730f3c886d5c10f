Console.Error.WriteLine("skep: not wired yet");
return 1;
